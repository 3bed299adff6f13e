// Tells one fact a line, as name=value. Every number is checked by who reads it.
#include <cstdio>
#include <cstring>

#include <cuda_runtime.h>

#define COUNT 4096

__host__ __device__ static int mixed(int i) { return 3 * i + 1; }

__global__ void add(const int *a, const int *b, int *c) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < COUNT) c[i] = a[i] + mixed(b[i]);
}

static void tell(const char *name, cudaError_t error) {
  printf("%s=%d %s\n", name, (int)error, cudaGetErrorName(error));
}

// Which files were loaded under the names of CUDA's libraries.
static void tell_libraries(void) {
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[8192], last[8192] = "";
  while (maps && fgets(line, sizeof line, maps)) {
    char *path = strchr(line, '/');
    if (!path) continue;
    path[strcspn(path, "\n")] = 0;
    if (!strstr(path, "/libcudart.so") && !strstr(path, "/libcuda.so")) continue;
    if (strcmp(path, last)) printf("library=%s\n", path);
    strcpy(last, path);
  }
  if (maps) fclose(maps);
}

static cudaError_t on_gpu(const int *a, const int *b, int *c) {
  const size_t bytes = COUNT * sizeof(int);
  int *memory = NULL;
  cudaError_t error = cudaMalloc((void **)&memory, 3 * bytes);
  if (error) return error;
  if (!error) error = cudaMemcpy(memory, a, bytes, cudaMemcpyHostToDevice);
  if (!error) error = cudaMemcpy(memory + COUNT, b, bytes, cudaMemcpyHostToDevice);
  if (!error) {
    add<<<COUNT / 256, 256>>>(memory, memory + COUNT, memory + 2 * COUNT);
    error = cudaGetLastError();
  }
  if (!error) error = cudaDeviceSynchronize();
  if (!error) error = cudaMemcpy(c, memory + 2 * COUNT, bytes, cudaMemcpyDeviceToHost);
  cudaFree(memory);
  return error;
}

static long long sum(const int *c) {
  long long total = 0;
  for (int i = 0; i < COUNT; i++) total += (long long)(i + 1) * c[i];
  return total;
}

int main(void) {
  static int a[COUNT], b[COUNT], c[COUNT];
  for (int i = 0; i < COUNT; i++) {
    a[i] = i % 17;
    b[i] = i % 29;
    c[i] = a[i] + mixed(b[i]);
  }
  printf("host=%lld\n", sum(c));
  int runtime = 0, driver = 0, devices = 0;
  cudaRuntimeGetVersion(&runtime);
  cudaDriverGetVersion(&driver);
  printf("headers=%d\nruntime=%d\ndriver=%d\n", CUDART_VERSION, runtime, driver);
  const cudaError_t counted = cudaGetDeviceCount(&devices);
  tell("count", counted);
  tell_libraries();
  if (!counted && devices > 0) {
    memset(c, 0, sizeof c);
    const cudaError_t error = on_gpu(a, b, c);
    tell("device", error);
    if (!error) printf("sum=%lld\n", sum(c));
  }
  printf("end=1\n");
  return 0;
}
