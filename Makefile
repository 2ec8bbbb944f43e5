# The fault suite; everything else is ./install.sh. See tests/faults and ARCHITECTURE.md.
PYTHON ?= $(firstword $(wildcard $(HOME)/.local/share/tunesmith/venv/bin/python) python3)
HOURS ?= 1

.PHONY: faults soak mutants

# What continuous integration runs of it: every row of the fault matrix, its seed in the first lines.
# TUNESMITH_FAULT_SEED=7 rolls otherwise, TUNESMITH_FAULT_TIMES=10 ten times as often.
faults:
	$(PYTHON) -m pytest tests/faults -p no:xdist --durations 15

# Daemons killed under clients for hours, then every promise checked.
soak:
	$(PYTHON) tests/faults/soak.py --hours $(HOURS)

# Removes one rule at a time in a copy of the tree: a row must go red for each.
mutants:
	$(PYTHON) tests/faults/mutants.py
