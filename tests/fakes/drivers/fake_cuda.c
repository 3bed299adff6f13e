/* A fake libcuda.so.1.
 *
 * It answers a ctypes probe, and it lets the real CUDA runtime inside PyTorch
 * take its error paths. It cannot run a kernel: the runtime wants private
 * tables (cuGetExportTable) that only the real driver has.
 */
#include "fake_config.h"

#include <dlfcn.h>

typedef int cuda_result;

enum {
  CUDA_SUCCESS = 0,
  CUDA_NOT_INITIALIZED = 3,
  CUDA_NO_DEVICE = 100,
  CUDA_INVALID_DEVICE = 101,
  CUDA_OPERATING_SYSTEM = 304,
  CUDA_UNKNOWN_TABLE = 500,
  CUDA_NOT_SUPPORTED = 801,
};

enum {
  ATTRIBUTE_MAX_THREADS_PER_BLOCK = 1,
  ATTRIBUTE_WARP_SIZE = 10,
  ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  ATTRIBUTE_COMPUTE_MODE = 20,
  ATTRIBUTE_CAPABILITY_MAJOR = 75,
  ATTRIBUTE_CAPABILITY_MINOR = 76,
};

#define MAX_GPUS 64

static int initialised;

/* Reads the configuration and leaves the function if it orders an error. */
#define DRIVER_CALL()                                        \
  do {                                                       \
    begin_call(__func__);                                    \
    const cuda_result code_ = config_return_code(__func__);  \
    if (code_) return code_;                                 \
  } while (0)

static const char *value_or(const char *value, const char *fallback) {
  return value ? value : fallback;
}

/* Lists the GPUs that CUDA_VISIBLE_DEVICES leaves, in its order, and returns how
 * many: as with the driver, the first invalid index hides itself and all that
 * follow. Only indices are understood. `gpus` may be NULL. */
static int visible_gpus(int *gpus) {
  const int count = atoi(value_or(config_get("count"), "0"));
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  int shown = 0;
  if (!visible) {
    for (; shown < count && shown < MAX_GPUS; shown++) {
      if (gpus) gpus[shown] = shown;
    }
    return shown;
  }
  char *copy = strdup(visible), *rest;
  for (char *item = strtok_r(copy, ",", &rest); item && shown < MAX_GPUS;
       item = strtok_r(NULL, ",", &rest)) {
    char *end;
    const long index = strtol(item, &end, 10);
    if (end == item || index < 0 || index >= count) break;
    if (gpus) gpus[shown] = (int)index;
    shown++;
  }
  free(copy);
  return shown;
}

static int visible_count(void) { return visible_gpus(NULL); }

/* The number in the configuration of the GPU that CUDA calls `device`. */
static int gpu_behind(int device) {
  int gpus[MAX_GPUS];
  return device >= 0 && device < visible_gpus(gpus) ? gpus[device] : device;
}

EXPORT cuda_result cuInit(unsigned flags) {
  (void)flags;
  DRIVER_CALL();
  if (visible_count() == 0) return CUDA_NO_DEVICE;
  initialised = 1;
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuDriverGetVersion(int *version) {
  DRIVER_CALL();
  *version = atoi(value_or(config_get("cuda"), "12040"));
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuDeviceGetCount(int *count) {
  DRIVER_CALL();
  if (!initialised) return CUDA_NOT_INITIALIZED;
  *count = visible_count();
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuDeviceGet(int *device, int index) {
  DRIVER_CALL();
  if (index >= visible_count()) return CUDA_INVALID_DEVICE;
  *device = index;
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuDeviceGetName(char *buffer, int size, int device) {
  DRIVER_CALL();
  snprintf(buffer, (size_t)size, "%s", value_or(config_get("d%d.name", gpu_behind(device)), "Fake GPU"));
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuDeviceTotalMem_v2(size_t *bytes, int device) {
  DRIVER_CALL();
  *bytes = strtoull(value_or(config_get("d%d.mem.total", gpu_behind(device)), "17179869184"), NULL, 0);
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuDeviceGetUuid_v2(char *uuid, int device) {
  DRIVER_CALL();
  memset(uuid, 0x11 + device, 16);
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuDeviceGetUuid(char *uuid, int device) {
  return cuDeviceGetUuid_v2(uuid, device);
}

EXPORT cuda_result cuDeviceGetLuid(char *luid, unsigned *node_mask, int device) {
  (void)device;
  memset(luid, 0, 8);
  *node_mask = 0;
  return CUDA_NOT_SUPPORTED;
}

EXPORT cuda_result cuDeviceGetPCIBusId(char *buffer, int size, int device) {
  DRIVER_CALL();
  const int gpu = gpu_behind(device);
  const char *address = config_get("d%d.pci", gpu);
  unsigned domain = 0, bus = 4 + (unsigned)gpu, slot = 0, function = 0;
  if (address) sscanf(address, "%x:%x:%x.%x", &domain, &bus, &slot, &function);
  snprintf(buffer, (size_t)size, "%04X:%02X:%02X.%X", domain, bus, slot, function);
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuDeviceGetAttribute(int *value, int attribute, int device) {
  DRIVER_CALL();
  int major = 7, minor = 5;
  sscanf(value_or(config_get("d%d.cc", gpu_behind(device)), "7.5"), "%d.%d", &major, &minor);
  switch (attribute) {
    case ATTRIBUTE_CAPABILITY_MAJOR: *value = major; break;
    case ATTRIBUTE_CAPABILITY_MINOR: *value = minor; break;
    case ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 40; break;
    case ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
    case ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case ATTRIBUTE_COMPUTE_MODE:
      *value = atoi(value_or(config_get("d%d.compute_mode", gpu_behind(device)), "0"));
      break;
    default: *value = 1;
  }
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuDevicePrimaryCtxRetain(void **context, int device) {
  DRIVER_CALL();
  *context = (void *)(uintptr_t)(0x100 + device);
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuDevicePrimaryCtxRelease_v2(int device) {
  (void)device;
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
  (void)device;
  *flags = 0;
  *active = 0;
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuCtxGetCurrent(void **context) {
  DRIVER_CALL();
  *context = NULL;
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuCtxSetCurrent(void *context) {
  (void)context;
  DRIVER_CALL();
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
  DRIVER_CALL();
  *free_bytes = (size_t)1 << 33;
  *total_bytes = (size_t)1 << 34;
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuGetErrorName(cuda_result code, const char **name) {
  static __thread char buffer[40];
  snprintf(buffer, sizeof buffer, "CUDA_ERROR_%d", code);
  *name = buffer;
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuGetErrorString(cuda_result code, const char **text) {
  return cuGetErrorName(code, text);
}

/* Stands for each function that is not written here. */
static cuda_result unsupported(void) {
  begin_call("(stub)");
  return atoi(value_or(config_get("stub.ret"), "801"));
}

/* With "export_table=stub" the runtime gets a table of functions that fail;
 * else it is told that the table does not exist. */
EXPORT cuda_result cuGetExportTable(const void **table, const void *uuid) {
  static void *stub_table[64];
  (void)uuid;
  begin_call(__func__);
  if (strcmp(value_or(config_get("export_table"), "fail"), "stub")) {
    *table = NULL;
    return CUDA_UNKNOWN_TABLE;
  }
  stub_table[0] = (void *)sizeof stub_table;
  for (int i = 1; i < 64; i++) stub_table[i] = (void *)unsupported;
  *table = stub_table;
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuGetProcAddress_v2(const char *symbol, void **function, int version, u64 flags,
                                       int *status) {
  static const char *const suffixes[] = {"_v3", "_v2", ""};
  (void)version;
  (void)flags;
  Dl_info self;
  if (!dladdr((void *)cuInit, &self)) return CUDA_OPERATING_SYSTEM;
  void *library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  *function = NULL;
  for (int i = 0; i < 3 && !*function; i++) {
    char name[MAX_KEY];
    snprintf(name, sizeof name, "%s%s", symbol, suffixes[i]);
    *function = dlsym(library, name);
  }
  if (!*function) *function = (void *)unsupported;
  if (status) *status = 0;
  return CUDA_SUCCESS;
}

EXPORT cuda_result cuGetProcAddress(const char *symbol, void **function, int version, u64 flags) {
  return cuGetProcAddress_v2(symbol, function, version, flags, NULL);
}
