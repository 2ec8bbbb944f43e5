/* A double of NVIDIA's management library: the functions that pynvml calls for us, with NVML's own signatures and
 * structs, over a scene in the text file that NVML_SCENE names. A line of a scene is a key and a value:
 *
 *   init 9                  what nvmlInit answers (an NVML return code; 0 unless given)
 *   driver 550.54.15        cuda 12040            of the whole system
 *   gpu                     begins a GPU; lines below are about it until the next `gpu` or `instance`
 *   instance                begins a MIG instance of the GPU above it
 *   name Tesla T4           uuid GPU-...          total, free (bytes)     capability 7 5
 *   temperature 45          slowdown 93           reasons 0x20            power, limit (milliwatts)
 *   busy 87                 (percent of the time)
 *   mig 1                   slots 7               lost 15 (what every question about it answers, its handle too)
 *   dies 15                 the same, but only once its handle was given
 *   process 1234 1000000    graphics 99 5000      a pid and its bytes
 *
 *   no-processes            the driver does not say who uses it
 *
 * What a scene does not say the card does not support: NVML_ERROR_NOT_SUPPORTED, as real cards do. Compiled with
 * OLD_DRIVER it lacks the functions that came with the drivers 510 (lists of processes, version 3) and 535. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7 };
enum { CARDS = 16, PROCESSES = 8 };

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Rates;
/* The layout of versions 2 and 3: 24 bytes, the numbers of GPU and compute instance at the end. */
typedef struct { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; } Process;

typedef struct Card {
  struct Card *gpu; /* the divided GPU that an instance belongs to; NULL for a GPU */
  char name[96], uuid[96];
  unsigned long long total, free;
  int has_memory, has_capability, major, minor, temperature, slowdown, power, limit, mig, slots, lost, dies, busy;
  long long reasons;
  int computing, drawing; /* how many processes; -1 where the driver does not say */
  Process compute[PROCESSES], graphics[PROCESSES];
} Card;

static Card cards[CARDS];
static int count, running, init_answer, cuda_version;
static char driver_version[80];

static Card *begin(Card *gpu) {
  Card *card = &cards[count++];
  memset(card, 0, sizeof *card);
  card->gpu = gpu;
  card->temperature = card->slowdown = card->power = card->limit = card->mig = card->busy = -1;
  card->reasons = -1;
  card->slots = 7;
  return card;
}

static void read_scene(void) {
  char line[256], *value;
  Card *card = NULL, *gpu = NULL;
  FILE *scene = fopen(getenv("NVML_SCENE") ? getenv("NVML_SCENE") : "", "r");
  count = init_answer = cuda_version = 0;
  driver_version[0] = 0;
  if (!scene) return;
  while (fgets(line, sizeof line, scene)) {
    line[strcspn(line, "\n")] = 0;
    value = strchr(line, ' ');
    if (value) *value++ = 0; else value = line + strlen(line);
#define KEY(text) (!strcmp(line, text))
    if (KEY("init")) init_answer = atoi(value);
    else if (KEY("driver")) snprintf(driver_version, sizeof driver_version, "%s", value);
    else if (KEY("cuda")) cuda_version = atoi(value);
    else if (KEY("gpu")) card = gpu = begin(NULL);
    else if (KEY("instance")) card = begin(gpu);
    else if (!card) continue;
    else if (KEY("name")) snprintf(card->name, sizeof card->name, "%s", value);
    else if (KEY("uuid")) snprintf(card->uuid, sizeof card->uuid, "%s", value);
    else if (KEY("total")) card->total = strtoull(value, NULL, 10), card->has_memory = 1;
    else if (KEY("free")) card->free = strtoull(value, NULL, 10);
    else if (KEY("capability")) card->has_capability = sscanf(value, "%d %d", &card->major, &card->minor) == 2;
    else if (KEY("temperature")) card->temperature = atoi(value);
    else if (KEY("slowdown")) card->slowdown = atoi(value);
    else if (KEY("reasons")) card->reasons = strtoll(value, NULL, 0);
    else if (KEY("power")) card->power = atoi(value);
    else if (KEY("limit")) card->limit = atoi(value);
    else if (KEY("busy")) card->busy = atoi(value);
    else if (KEY("mig")) card->mig = atoi(value);
    else if (KEY("slots")) card->slots = atoi(value);
    else if (KEY("lost")) card->lost = atoi(value);
    else if (KEY("dies")) card->dies = atoi(value);
    else if (KEY("no-processes")) card->computing = card->drawing = -1;
    else if (KEY("process") || KEY("graphics")) {
      Process *one = KEY("process") ? &card->compute[card->computing++] : &card->graphics[card->drawing++];
      sscanf(value, "%u %llu", &one->pid, &one->bytes);
    }
  }
  fclose(scene);
}

/* Of a GPU, or of the GPU that an instance is part of. */
#define ASKED(card) do { \
    if (!running) return UNINITIALIZED; \
    if (!(card)) return INVALID; \
    if ((card)->lost) return (card)->lost; \
    if ((card)->gpu && (card)->gpu->lost) return (card)->gpu->lost; } while (0)

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  read_scene();
  running = init_answer == SUCCESS;
  return init_answer;
}
int nvmlShutdown(void) { running = 0; return SUCCESS; }

const char *nvmlErrorString(int code) {
  switch (code) {
    case 9: return "Driver Not Loaded";
    case 15: return "GPU is lost";
    case 16: return "GPU requires reset";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
  }
}

static int text(const char *from, char *to, unsigned room) {
  if (!*from) return NOT_SUPPORTED;
  if (strlen(from) + 1 > room) return TOO_SMALL;
  strcpy(to, from);
  return SUCCESS;
}
static int number(int from, unsigned *to) {
  if (from < 0) return NOT_SUPPORTED;
  *to = (unsigned)from;
  return SUCCESS;
}

int nvmlSystemGetDriverVersion(char *version, unsigned room) { return text(driver_version, version, room); }
int nvmlSystemGetCudaDriverVersion_v2(int *version) {
  *version = cuda_version;
  return cuda_version ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetCount_v2(unsigned *gpus) {
  if (!running) return UNINITIALIZED;
  *gpus = 0;
  for (int i = 0; i < count; i++) *gpus += !cards[i].gpu;
  return SUCCESS;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Card **handle) {
  if (!running) return UNINITIALIZED;
  for (int i = 0; i < count; i++)
    if (!cards[i].gpu && !index--) {
      int answer = cards[i].lost;
      *handle = &cards[i];
      if (cards[i].dies) cards[i].lost = cards[i].dies;
      return answer;
    }
  return INVALID;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Card **handle) {
  if (!running) return UNINITIALIZED;
  for (int i = 0; i < count; i++)
    if (!strcmp(cards[i].uuid, uuid)) {
      *handle = &cards[i];
      return cards[i].lost;
    }
  return NOT_FOUND;
}

int nvmlDeviceGetName(Card *card, char *name, unsigned room) { ASKED(card); return text(card->name, name, room); }
int nvmlDeviceGetUUID(Card *card, char *uuid, unsigned room) { ASKED(card); return text(card->uuid, uuid, room); }
int nvmlDeviceGetMemoryInfo(Card *card, Memory *memory) {
  ASKED(card);
  if (!card->has_memory) return NOT_SUPPORTED;
  *memory = (Memory){card->total, card->free, card->total - card->free};
  return SUCCESS;
}
int nvmlDeviceGetCudaComputeCapability(Card *card, int *major, int *minor) {
  ASKED(card);
  if (!card->has_capability) return NOT_SUPPORTED;
  *major = card->major, *minor = card->minor;
  return SUCCESS;
}
int nvmlDeviceGetTemperature(Card *card, int sensor, unsigned *degrees) {
  ASKED(card);
  return sensor ? INVALID : number(card->temperature, degrees);
}
int nvmlDeviceGetTemperatureThreshold(Card *card, int threshold, unsigned *degrees) {
  ASKED(card);
  return threshold == 1 ? number(card->slowdown, degrees) : NOT_SUPPORTED;
}
int nvmlDeviceGetUtilizationRates(Card *card, Rates *rates) {
  ASKED(card);
  rates->memory = 0;
  return number(card->busy, &rates->gpu);
}
int nvmlDeviceGetPowerUsage(Card *card, unsigned *milliwatts) { ASKED(card); return number(card->power, milliwatts); }
int nvmlDeviceGetEnforcedPowerLimit(Card *card, unsigned *milliwatts) {
  ASKED(card);
  return number(card->limit, milliwatts);
}
#ifdef OLD_DRIVER
#define nvmlDeviceGetCurrentClocksEventReasons nvmlDeviceGetCurrentClocksThrottleReasons
#define nvmlDeviceGetComputeRunningProcesses_v3 nvmlDeviceGetComputeRunningProcesses_v2
#define nvmlDeviceGetGraphicsRunningProcesses_v3 nvmlDeviceGetGraphicsRunningProcesses_v2
#endif
int nvmlDeviceGetCurrentClocksEventReasons(Card *card, unsigned long long *reasons) {
  ASKED(card);
  if (card->reasons < 0) return NOT_SUPPORTED;
  *reasons = (unsigned long long)card->reasons;
  return SUCCESS;
}

int nvmlDeviceGetMigMode(Card *card, unsigned *current, unsigned *pending) {
  ASKED(card);
  *pending = card->mig > 0;
  return number(card->mig, current);
}
int nvmlDeviceGetMaxMigDeviceCount(Card *card, unsigned *slots) { ASKED(card); return number(card->slots, slots); }
/* Instance n lies in slot 2n: NVML's numbers have gaps where a profile takes more than one slice. */
int nvmlDeviceGetMigDeviceHandleByIndex(Card *card, unsigned slot, Card **instance) {
  ASKED(card);
  unsigned at = 0;
  for (int i = 0; i < count; i++)
    if (cards[i].gpu == card) {
      if (at == slot) { *instance = &cards[i]; return SUCCESS; }
      at += 2;
    }
  return NOT_FOUND;
}

static int list(int found, const Process *from, unsigned *room, Process *to) {
  unsigned needed = (unsigned)found;
  if (found < 0) return NOT_SUPPORTED;
  if (*room < needed) { *room = needed; return TOO_SMALL; }
  memcpy(to, from, needed * sizeof *from);
  *room = needed;
  return SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Card *card, unsigned *room, Process *to) {
  ASKED(card);
  return list(card->computing, card->compute, room, to);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(Card *card, unsigned *room, Process *to) {
  ASKED(card);
  return list(card->drawing, card->graphics, room, to);
}
