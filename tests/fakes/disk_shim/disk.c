/* Stands between a process and its disk: fails or kills at the n-th call, or writes down every change in order.
 *
 * Loaded with LD_PRELOAD. Only paths that begin with DISK_SHIM_UNDER count, and only in processes whose command line
 * holds DISK_SHIM_IN.
 *   DISK_SHIM_FAULT   "write 7 28": the 7th write fails with errno 28 (kinds: write, sync, rename, any: removing too).
 *                     "sync 2 kill": the process is killed in place of it; "tear": after half of a write.
 *                     "write while 28": fails as long as the file DISK_SHIM_FLAG exists.
 *   DISK_SHIM_RECORD  a file that every change is appended to; recorded.py reads it.
 *   disk_shim_arm()   sets a fault later on, its count from zero.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE = 1, SYNC = 2, RENAME = 4, REMOVE = 8 };

static char under[4096], flag[4096];
static size_t under_length;
static int in_this_process, record = -1;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static int kinds, error_number, kills, tears, while_flag;
static long nth, seen;

#define REAL(name) ({ static __typeof__(&name) found; if (!found) found = (__typeof__(&name))dlsym(RTLD_NEXT, #name); found; })

void disk_shim_arm(const char *text) {
    char kind[16], when[16], what[16];
    kinds = 0;
    if (!text || sscanf(text, "%15s %15s %15s", kind, when, what) != 3) return;
    while_flag = strcmp(when, "while") == 0;
    nth = while_flag ? 0 : atol(when);
    tears = strcmp(what, "tear") == 0;
    kills = tears || strcmp(what, "kill") == 0;
    error_number = atoi(what);
    __atomic_store_n(&seen, 0, __ATOMIC_SEQ_CST);
    kinds = !strcmp(kind, "write") ? WRITE : !strcmp(kind, "sync") ? SYNC : !strcmp(kind, "rename") ? RENAME : 15;
}

__attribute__((constructor)) static void begin(void) {
    const char *where = getenv("DISK_SHIM_UNDER"), *only = getenv("DISK_SHIM_IN"), *log = getenv("DISK_SHIM_RECORD");
    char line[65536];
    if (!where) return;
    strncpy(under, where, sizeof under - 1);
    under_length = strlen(under);
    if (getenv("DISK_SHIM_FLAG")) strncpy(flag, getenv("DISK_SHIM_FLAG"), sizeof flag - 1);
    int file = REAL(open)("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? 0 : read(file, line, sizeof line - 1);
    if (file >= 0) close(file);
    for (ssize_t at = 0; at < length; at++) if (!line[at]) line[at] = ' ';
    line[length > 0 ? length : 0] = 0;
    in_this_process = !only || strstr(line, only) != NULL;
    if (!in_this_process) return;
    if (log) record = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    disk_shim_arm(getenv("DISK_SHIM_FAULT"));
}

static int ours(const char *path) {
    return in_this_process && strncmp(path, under, under_length) == 0;
}

static int path_of(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, 4095);
    path[length > 0 ? length : 0] = 0;
    return length > 0 && ours(path);
}

/* `name` below `folder` (a descriptor or AT_FDCWD) as a whole path. */
static int path_at(int folder, const char *name, char *path) {
    if (!in_this_process || !name) return 0;
    path[0] = 0;
    if (name[0] != '/') {
        if (folder == AT_FDCWD) { if (!getcwd(path, 2048)) return 0; }
        else path_of(folder, path);
        strcat(path, "/");
    }
    strncat(path, name, 2047);
    return ours(path);
}

/* Whether this call shall fail; errno is set then. */
static int strikes(enum kind kind) {
    if (!(kinds & kind)) return 0;
    if (while_flag) {
        if (access(flag, F_OK) != 0) return 0;
    } else if (__atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST) != nth) return 0;
    if (tears && kind == WRITE) return 1;
    if (kills) kill(getpid(), SIGKILL);
    errno = error_number;
    return 1;
}

static void note(const char *header, const void *data, size_t length) {
    struct iovec parts[2] = {{(void *)header, strlen(header)}, {(void *)data, length}};
    int before = errno;
    if (writev(record, parts, length ? 2 : 1) < 0) abort();
    errno = before;
}

#define BEGIN if (record >= 0) pthread_mutex_lock(&one_at_a_time)
#define END if (record >= 0) pthread_mutex_unlock(&one_at_a_time)
#define NOTE(data, length, ...) \
    do { if (record >= 0) { char header[9000]; snprintf(header, sizeof header, __VA_ARGS__); note(header, data, length); } } while (0)

static ssize_t written(int file, const void *data, size_t size, off_t offset, int positioned) {
    char path[4096];
    if (!in_this_process || !path_of(file, path))
        return positioned ? REAL(pwrite64)(file, data, size, offset) : REAL(write)(file, data, size);
    if (strikes(WRITE)) {
        if (!tears) return -1;
        if (positioned) REAL(pwrite64)(file, data, size / 2, offset); else REAL(write)(file, data, size / 2);
        kill(getpid(), SIGKILL);
    }
    BEGIN;
    ssize_t done = positioned ? REAL(pwrite64)(file, data, size, offset) : REAL(write)(file, data, size);
    if (done > 0) {
        off_t at = positioned ? offset : lseek(file, 0, SEEK_CUR) - done;
        NOTE(data, (size_t)done, "write %zd %lld %s\n", done, (long long)at, path);
    }
    END;
    return done;
}

ssize_t write(int file, const void *data, size_t size) { return written(file, data, size, 0, 0); }
ssize_t pwrite(int file, const void *data, size_t size, off_t offset) { return written(file, data, size, offset, 1); }
ssize_t pwrite64(int file, const void *data, size_t size, off_t offset) { return written(file, data, size, offset, 1); }

#define SYNCING(name) \
    int name(int file) { \
        char path[4096]; \
        if (!in_this_process || !path_of(file, path)) return REAL(name)(file); \
        if (strikes(SYNC)) return -1; \
        BEGIN; \
        int failed = REAL(name)(file); \
        if (!failed) NOTE(NULL, 0, "sync %s\n", path); \
        END; \
        return failed; \
    }
SYNCING(fsync)
SYNCING(fdatasync)

#define TRUNCATING(name) \
    int name(int file, off_t size) { \
        char path[4096]; \
        if (!in_this_process || !path_of(file, path)) return REAL(name)(file, size); \
        if (strikes(WRITE)) { if (tears) kill(getpid(), SIGKILL); return -1; } \
        BEGIN; \
        int failed = REAL(name)(file, size); \
        if (!failed) NOTE(NULL, 0, "truncate %lld %s\n", (long long)size, path); \
        END; \
        return failed; \
    }
TRUNCATING(ftruncate)
TRUNCATING(ftruncate64)

static int renamed(int from_folder, const char *from, int to_folder, const char *to) {
    char old[4096], new[4096];
    int counts = path_at(from_folder, from, old) | path_at(to_folder, to, new);
    if (counts && strikes(RENAME)) return -1;
    BEGIN;
    int failed = REAL(renameat)(from_folder, from, to_folder, to);
    if (!failed && counts) NOTE(NULL, 0, "rename %s\t%s\n", old, new);
    END;
    return failed;
}

int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int a, const char *from, int b, const char *to) { return renamed(a, from, b, to); }

#define ON_PATH(kind, call, folder, name, ...) \
    do { \
        char path[4096]; \
        int counts = path_at(folder, name, path); \
        if (counts && strikes(kind)) return -1; \
        BEGIN; \
        int failed = call; \
        if (!failed && counts) NOTE(NULL, 0, __VA_ARGS__); \
        END; \
        return failed; \
    } while (0)

int unlink(const char *name) { ON_PATH(REMOVE, REAL(unlink)(name), AT_FDCWD, name, "unlink %s\n", path); }
int rmdir(const char *name) { ON_PATH(REMOVE, REAL(rmdir)(name), AT_FDCWD, name, "unlink %s\n", path); }
int unlinkat(int folder, const char *name, int flags) {
    ON_PATH(REMOVE, REAL(unlinkat)(folder, name, flags), folder, name, "unlink %s\n", path);
}
int mkdir(const char *name, mode_t mode) { ON_PATH(WRITE, REAL(mkdir)(name, mode), AT_FDCWD, name, "folder %s\n", path); }
int mkdirat(int folder, const char *name, mode_t mode) {
    ON_PATH(WRITE, REAL(mkdirat)(folder, name, mode), folder, name, "folder %s\n", path);
}

static int opened(int folder, const char *name, int flags, mode_t mode) {
    char path[4096];
    if (!(flags & (O_CREAT | O_TRUNC)) || !path_at(folder, name, path)) return REAL(openat)(folder, name, flags, mode);
    BEGIN;
    int file = REAL(openat)(folder, name, flags, mode);
    if (file >= 0) NOTE(NULL, 0, "open %d %s\n", flags & O_TRUNC ? 1 : 0, path);
    END;
    return file;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & O_CREAT) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }

int open(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE(flags) return opened(folder, name, flags, mode); }
int openat64(int folder, const char *name, int flags, ...) { MODE(flags) return opened(folder, name, flags, mode); }
