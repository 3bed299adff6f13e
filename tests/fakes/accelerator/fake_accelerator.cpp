// A test accelerator for PyTorch: device type "fake" on the PrivateUse1 key.
//
// Several devices exist, their memory lives in host RAM, and every kernel runs
// on the CPU. The point is not speed but honesty about placement: tensors of
// different devices cannot be mixed, each device has a memory limit, and
// counters tell which operators ran where, how often data was copied and how
// often somebody waited. Faults can be ordered: a memory limit, the failure of one
// chosen allocation, a device that is lost.

#include <torch/extension.h>
#include <torch/library.h>

#include <torch/version.h>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_cpu_dispatch.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace {

constexpr auto kFake = c10::DeviceType::PrivateUse1;
const c10::DispatchKeySet kFakeKeys(c10::DispatchKey::PrivateUse1);
constexpr int kMaxDevices = 16;
constexpr int64_t kNoLimit = int64_t(1) << 40;
constexpr uint64_t kDefaultSeed = 67280421310721ULL;

int device_count() {
  static const int count = [] {
    const char* text = std::getenv("FAKE_DEVICES");
    return std::clamp(text ? std::atoi(text) : 2, 0, kMaxDevices);
  }();
  return count;
}

// ---------------------------------------------------------------------------
// Counters, limits and the state of the calling thread
// ---------------------------------------------------------------------------

struct Counters {
  std::atomic<int64_t> current{0};  // bytes allocated now
  std::atomic<int64_t> peak{0};     // highest value of `current`
  std::atomic<int64_t> limit{kNoLimit};
  std::atomic<int64_t> allocs{0};
  std::atomic<int64_t> h2d{0};  // explicit copies, host to device
  std::atomic<int64_t> d2h{0};
  std::atomic<int64_t> d2d{0};
  std::atomic<int64_t> h2d_bytes{0};
  std::atomic<int64_t> d2h_bytes{0};
  std::atomic<int64_t> non_blocking{0};  // copies asked for with non_blocking=True
  std::atomic<int64_t> syncs{0};         // times the host waited for the device
  std::atomic<int64_t> ops{0};           // operators run

  // Faults that a test has ordered.
  std::atomic<int64_t> allocs_until_failure{-1};  // -1: none fails
  std::atomic<bool> lost{false};

  std::mutex names_mutex;
  std::map<std::string, int64_t> names;  // operators run, by name
};

Counters g_counters[kMaxDevices];

// Whether draws on the devices come from the CPU's default generator.
std::atomic<bool> g_shared_rng{false};

thread_local int t_device = 0;
thread_local std::map<int, int64_t> t_stream;

// The CPU fallback copies arguments and results by itself. Those copies are
// not the user's, so they are not counted while this flag is set.
thread_local bool t_in_fallback = false;

struct FallbackScope {
  bool outer = t_in_fallback;
  FallbackScope() { t_in_fallback = true; }
  ~FallbackScope() { t_in_fallback = outer; }
};

bool is_fake(const at::Tensor& tensor) {
  return tensor.device().type() == kFake;
}

int device_or_current(int index) {
  return index < 0 ? t_device : index;
}

// What CUDA says when the driver has lost the device; torch 2.8 and newer have a class for it.
void check_not_lost(int device) {
  if (!g_counters[device].lost) return;
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 8
  throw c10::AcceleratorError({__func__, __FILE__, static_cast<uint32_t>(__LINE__)}, 719,
                              "fake error: device lost");
#else
  TORCH_CHECK(false, "fake error: device lost");
#endif
}

void count_op(int device, const std::string& name) {
  check_not_lost(device);
  auto& counters = g_counters[device];
  counters.ops++;
  std::lock_guard<std::mutex> lock(counters.names_mutex);
  counters.names[name]++;
}

int checked_index(const std::optional<at::Device>& device) {
  const int index = device_or_current(device.has_value() ? device->index() : -1);
  TORCH_CHECK(index < device_count(), "fake error: invalid device ordinal");
  return index;
}

// ---------------------------------------------------------------------------
// Memory
// ---------------------------------------------------------------------------

struct Block {
  void* data;
  size_t bytes;
  int device;
};

void free_block(void* context) {
  auto* block = static_cast<Block*>(context);
  g_counters[block->device].current -= static_cast<int64_t>(block->bytes);
  std::free(block->data);
  delete block;
}

struct DeviceMemory final : c10::DeviceAllocator {
  c10::DataPtr allocate(size_t bytes) override {
    auto& counters = g_counters[t_device];
    check_not_lost(t_device);
    const bool chosen =
        counters.allocs_until_failure >= 0 && counters.allocs_until_failure-- == 0;
    const int64_t now = counters.current + static_cast<int64_t>(bytes);
    TORCH_CHECK_WITH(
        OutOfMemoryError, !chosen && now <= counters.limit,
        "fake out of memory. Tried to allocate ", bytes, " bytes. GPU ", t_device,
        " has a total capacity of ", counters.limit.load(), " bytes of which ",
        counters.limit - counters.current, " bytes is free.");
    counters.current = now;
    if (now > counters.peak) counters.peak = now;
    counters.allocs++;
    void* data = nullptr;
    TORCH_CHECK(bytes == 0 || posix_memalign(&data, 64, bytes) == 0, "host is out of memory");
    auto* block = new Block{data, bytes, t_device};
    return {data, block, &free_block, c10::Device(kFake, t_device)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t = {0, 0}) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}

  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override {
    c10::CachingDeviceAllocator::DeviceStats stats;
    stats.allocated_bytes[0].current = g_counters[device].current;
    stats.allocated_bytes[0].peak = g_counters[device].peak;
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex device) override {
    g_counters[device].peak = g_counters[device].current.load();
  }
  // Virtual in newer PyTorch only, so there is no `override` here.
  std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex device) {
    const auto& counters = g_counters[device];
    return {counters.limit - counters.current, counters.limit};
  }
};

DeviceMemory g_device_memory;
REGISTER_ALLOCATOR(kFake, &g_device_memory);

// Pinned host memory: ordinary memory, remembered so that is_pinned() works.
std::mutex g_pinned_mutex;
std::map<char*, size_t> g_pinned;

void free_pinned(void* data) {
  {
    std::lock_guard<std::mutex> lock(g_pinned_mutex);
    g_pinned.erase(static_cast<char*>(data));
  }
  std::free(data);
}

struct PinnedMemory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = nullptr;
    const size_t size = std::max<size_t>(bytes, 1);
    TORCH_CHECK(posix_memalign(&data, 4096, size) == 0, "host is out of memory");
    std::lock_guard<std::mutex> lock(g_pinned_mutex);
    g_pinned[static_cast<char*>(data)] = size;
    return {data, data, &free_pinned, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_pinned; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
};

PinnedMemory g_pinned_memory;

// ---------------------------------------------------------------------------
// Random numbers: one generator per device, numbers as on the CPU
// ---------------------------------------------------------------------------

struct FakeGenerator final : at::CPUGeneratorImpl {
  // CPU kernels refuse a generator of another device, so they get this one.
  at::Generator cpu_twin;

  explicit FakeGenerator(int device) : at::CPUGeneratorImpl(kDefaultSeed) {
    device_ = c10::Device(kFake, device);
    key_set_ = kFakeKeys;
    cpu_twin = at::make_generator<at::CPUGeneratorImpl>(kDefaultSeed);
  }
  void set_current_seed(uint64_t seed) override {
    at::CPUGeneratorImpl::set_current_seed(seed);
    cpu_twin.set_current_seed(seed);
  }
  void set_state(const c10::TensorImpl& state) override {
    cpu_twin.unsafeGetGeneratorImpl()->set_state(state);
  }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override {
    return cpu_twin.unsafeGetGeneratorImpl()->get_state();
  }
};

std::vector<at::Generator>& default_generators() {
  static std::vector<at::Generator> generators = [] {
    std::vector<at::Generator> made;
    for (int i = 0; i < device_count(); i++) made.push_back(at::make_generator<FakeGenerator>(i));
    return made;
  }();
  return generators;
}

// ---------------------------------------------------------------------------
// Hooks and guard: what torch.accelerator, torch.Stream and torch.Event ask
// ---------------------------------------------------------------------------

struct FakeHooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return device_count() > 0; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return device_count(); }

  void setCurrentDevice(c10::DeviceIndex device) const override {
    TORCH_CHECK(device >= 0 && device < device_count(), "fake error: invalid device ordinal");
    t_device = device;
  }
  c10::DeviceIndex getCurrentDevice() const override { return t_device; }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex device) const override {
    return std::exchange(t_device, device);
  }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex device) const override {
    return std::exchange(t_device, device_or_current(device));
  }

  const at::Generator& getDefaultGenerator(c10::DeviceIndex device) const override {
    return default_generators()[device_or_current(device)];
  }
  at::Generator getNewGenerator(c10::DeviceIndex device = -1) const override {
    return at::make_generator<FakeGenerator>(device_or_current(device));
  }

  at::Device getDeviceFromPtr(void*) const override { return c10::Device(kFake, t_device); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &g_pinned_memory; }
  bool isPinnedPtr(const void* pointer) const override {
    auto* address = static_cast<char*>(const_cast<void*>(pointer));
    std::lock_guard<std::mutex> lock(g_pinned_mutex);
    auto next = g_pinned.upper_bound(address);
    if (next == g_pinned.begin()) return false;
    const auto& [start, bytes] = *std::prev(next);
    return address < start + bytes;
  }

  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    const int outer = std::exchange(t_device, storage.device().index());
    auto data = g_device_memory.allocate(bytes);
    t_device = outer;
    if (storage.data()) {
      std::memcpy(data.get(), storage.data(), std::min<size_t>(bytes, storage.nbytes()));
    }
    auto* impl = storage.unsafeGetStorageImpl();
    impl->set_data_ptr_noswap(std::move(data));
    impl->set_nbytes(bytes);
  }
};

const int g_hooks_registered = [] {
  at::RegisterPrivateUse1HooksInterface(new FakeHooks);
  return 0;
}();

std::atomic<int64_t> g_next_stream{1};

// Streams have identities but no queues: all work is done at once.
struct FakeGuard final : c10::impl::DeviceGuardImplInterface {
  static c10::Device device_at(int index) {
    return {kFake, static_cast<c10::DeviceIndex>(device_or_current(index))};
  }

  c10::DeviceType type() const override { return kFake; }
  c10::DeviceIndex deviceCount() const noexcept override { return device_count(); }
  c10::Device getDevice() const override { return device_at(t_device); }
  c10::Device exchangeDevice(c10::Device device) const override {
    const c10::Device outer = getDevice();
    setDevice(device);
    return outer;
  }
  void setDevice(c10::Device device) const override {
    TORCH_CHECK(device.index() < device_count(), "fake error: invalid device ordinal");
    uncheckedSetDevice(device);
  }
  void uncheckedSetDevice(c10::Device device) const noexcept override {
    if (device.index() >= 0) t_device = device.index();
  }

  c10::Stream getStream(c10::Device device) const override {
    const c10::Device real = device_at(device.index());
    return c10::Stream(c10::Stream::UNSAFE, real, t_stream[real.index()]);
  }
  c10::Stream getDefaultStream(c10::Device device) const override {
    return c10::Stream(c10::Stream::DEFAULT, device);
  }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool = false) const override {
    return getNewStream(device);
  }
  c10::Stream getNewStream(c10::Device device, int = 0) const override {
    return c10::Stream(c10::Stream::UNSAFE, device_at(device.index()), g_next_stream++);
  }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    const c10::Stream outer = getStream(stream.device());
    t_stream[stream.device_index()] = stream.id();
    return outer;
  }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream& stream) const override {
    g_counters[stream.device_index()].syncs++;
  }
  void synchronizeDevice(const c10::DeviceIndex device) const override {
    g_counters[device].syncs++;
  }
  void recordDataPtrOnStream(const c10::DataPtr&, const c10::Stream&) const override {}

  // An event is the time in nanoseconds at which it was recorded.
  void record(void** event, const c10::Stream&, const c10::DeviceIndex,
              const c10::EventFlag) const override {
    if (!*event) *event = new int64_t(0);
    *static_cast<int64_t*>(*event) = std::chrono::steady_clock::now().time_since_epoch().count();
  }
  void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override {
    delete static_cast<int64_t*>(event);
  }
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void synchronizeEvent(void*) const override {}
  double elapsedTime(void* begin, void* end, const c10::DeviceIndex) const override {
    return (*static_cast<int64_t*>(end) - *static_cast<int64_t*>(begin)) / 1e6;
  }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, FakeGuard);

// ---------------------------------------------------------------------------
// Operators that need to know about the device
// ---------------------------------------------------------------------------

at::Tensor empty_memory_format(at::IntArrayRef size, std::optional<at::ScalarType> dtype,
                               std::optional<at::Layout>, std::optional<at::Device> device,
                               std::optional<bool>, std::optional<at::MemoryFormat> format) {
  c10::DeviceGuard guard(c10::Device(kFake, checked_index(device)));
  return at::detail::empty_generic(size, &g_device_memory, kFakeKeys,
                                   c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride,
                         std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                         std::optional<at::Device> device, std::optional<bool>) {
  c10::DeviceGuard guard(c10::Device(kFake, checked_index(device)));
  return at::detail::empty_strided_generic(size, stride, &g_device_memory, kFakeKeys,
                                           c10::dtype_or_default(dtype));
}

// A CPU tensor over the same memory; it keeps the fake tensor alive.
at::Tensor cpu_alias(const at::Tensor& tensor) {
  if (!is_fake(tensor)) return tensor;
  char* data = nullptr;
  if (tensor.storage().data()) {
    data = static_cast<char*>(tensor.storage().mutable_data()) +
           tensor.storage_offset() * tensor.itemsize();
  }
  const auto options = at::TensorOptions().dtype(tensor.dtype()).device(at::kCPU);
  return at::from_blob(data, tensor.sizes(), tensor.strides(), [tensor](void*) {}, options);
}

at::Tensor copy_to_device_of(const at::Tensor& result, const at::Tensor& like) {
  auto moved = at::empty_strided(result.sizes(), result.strides(),
                                 result.options().device(like.device()));
  cpu_alias(moved).copy_(result);
  return moved;
}

void count_copy(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  const int device = (is_fake(to) ? to : from).device().index();
  check_not_lost(device);
  if (t_in_fallback) return;
  auto& counters = g_counters[device];
  if (is_fake(from) && is_fake(to)) {
    counters.d2d++;
  } else if (is_fake(to)) {
    counters.h2d++;
    counters.h2d_bytes += static_cast<int64_t>(to.nbytes());
  } else {
    counters.d2h++;
    counters.d2h_bytes += static_cast<int64_t>(from.nbytes());
    if (!non_blocking) counters.syncs++;
  }
  if (non_blocking) counters.non_blocking++;
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  at::NoGradGuard no_grad;
  count_copy(from, to, non_blocking);
  auto target = cpu_alias(to);
  target.copy_(cpu_alias(from));
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (from.sizes() != to.sizes()) to.resize_(from.sizes());
  return copy_from(from, to, false);
}

at::Scalar local_scalar_dense(const at::Tensor& tensor) {
  check_not_lost(tensor.device().index());
  if (!t_in_fallback) g_counters[tensor.device().index()].syncs++;
  return at::_local_scalar_dense(cpu_alias(tensor));
}

const at::Tensor& resize(const at::Tensor& tensor, c10::SymIntArrayRef symbolic_size,
                         std::optional<at::MemoryFormat> format) {
  const auto size = C10_AS_INTARRAYREF_SLOW(symbolic_size);
  const int64_t elements = c10::multiply_integers(size) + tensor.storage_offset();
  const int64_t bytes = elements * static_cast<int64_t>(tensor.itemsize());
  if (bytes > static_cast<int64_t>(tensor.storage().nbytes())) {
    at::detail::getPrivateUse1Hooks().resizePrivateUse1Bytes(tensor.storage(), bytes);
  }
  auto* impl = tensor.unsafeGetTensorImpl();
  impl->set_sizes_contiguous(size);
  if (format.has_value() && *format != at::MemoryFormat::Preserve &&
      *format != at::MemoryFormat::Contiguous) {
    impl->empty_tensor_restride(*format);
  }
  return tensor;
}

at::Tensor as_strided(const at::Tensor& tensor, at::IntArrayRef size, at::IntArrayRef stride,
                      std::optional<int64_t> offset) {
  return at::native::as_strided_tensorimpl(tensor, size, stride, offset);
}

at::Tensor view(const at::Tensor& tensor, c10::SymIntArrayRef size) {
  return at::native::view(tensor, C10_AS_INTARRAYREF_SLOW(size));
}

at::Tensor reshape_alias(const at::Tensor& tensor, at::IntArrayRef size, at::IntArrayRef stride) {
  return at::native::_reshape_alias(tensor, size, stride);
}

at::Tensor unfold(const at::Tensor& tensor, int64_t dimension, int64_t size, int64_t step) {
  return at::native::unfold(tensor, dimension, size, step);
}

at::Tensor& set_storage_offset(at::Tensor& tensor, at::Storage storage, int64_t offset,
                               at::IntArrayRef size, at::IntArrayRef stride) {
  return at::native::set_storage_cpu_(tensor, storage, offset, size, stride);
}

at::Tensor& set_storage(at::Tensor& tensor, at::Storage storage) {
  const auto elements = static_cast<int64_t>(storage.nbytes() / tensor.itemsize());
  return at::native::set_storage_cpu_(tensor, storage, 0, {elements}, {});
}

at::Tensor& set_tensor(at::Tensor& tensor, const at::Tensor& source) {
  return at::native::set_tensor_(tensor, source);
}

// `set_()` without a source: no memory at all.
at::Tensor& set_empty(at::Tensor& tensor) {
  const c10::DeviceGuard guard(tensor.device());
  at::Storage storage(c10::Storage::use_byte_size_t(), 0, g_device_memory.allocate(0),
                      &g_device_memory, true);
  return at::native::set_storage_cpu_(tensor, storage, 0, {0}, {});
}

void record_stream(at::Tensor&, c10::Stream) {}

// The schema of native_batch_norm does not say that it writes to the running statistics, so
// the generic fallback would drop what was written; aliases of the device's memory keep it.
std::tuple<at::Tensor, at::Tensor, at::Tensor> batch_norm(
    const at::Tensor& input, const std::optional<at::Tensor>& weight,
    const std::optional<at::Tensor>& bias, const std::optional<at::Tensor>& running_mean,
    const std::optional<at::Tensor>& running_var, bool training, double momentum, double eps) {
  count_op(input.device().index(), "aten::native_batch_norm");
  at::NoGradGuard no_grad;
  const auto alias = [&](const std::optional<at::Tensor>& tensor) -> std::optional<at::Tensor> {
    if (!tensor.has_value() || !tensor->defined()) return std::nullopt;
    TORCH_CHECK(tensor->device() == input.device(),
                "Expected all tensors to be on the same device, but found at least two devices, ",
                input.device(), " and ", tensor->device(), "!");
    return cpu_alias(*tensor);
  };
  const auto [output, mean, inverse_std] =
      at::native_batch_norm(cpu_alias(input), alias(weight), alias(bias), alias(running_mean),
                            alias(running_var), training, momentum, eps);
  return {copy_to_device_of(output, input), copy_to_device_of(mean, input),
          copy_to_device_of(inverse_std, input)};
}

// The CPU kernel takes no generator and would draw from the CPU's stream.
std::tuple<at::Tensor, at::Tensor> native_dropout(const at::Tensor& input, double p,
                                                  std::optional<bool> train) {
  const int device = input.device().index();
  count_op(device, "aten::native_dropout");
  at::NoGradGuard no_grad;
  const auto here = cpu_alias(input);
  auto mask = at::ones_like(here, here.options().dtype(at::kBool));
  if (train.has_value() && !*train) {
    return {copy_to_device_of(here, input), copy_to_device_of(mask, input)};
  }
  std::optional<at::Generator> generator;
  if (!g_shared_rng) {
    const auto& own = default_generators().at(device);
    generator = static_cast<FakeGenerator*>(own.unsafeGetGeneratorImpl())->cpu_twin;
  }
  mask.bernoulli_(1 - p, generator);
  const auto output = here * mask * (p == 1 ? 0.0 : 1 / (1 - p));
  return {copy_to_device_of(output, input), copy_to_device_of(mask, input)};
}

void check_same_device(const at::Tensor& one, const at::Tensor& other) {
  TORCH_CHECK(one.device() == other.device(),
              "Expected all tensors to be on the same device, but found at least two devices, ",
              one.device(), " and ", other.device(), "!");
}

// The generic way to these two would warn about an output that it resized by itself.
at::Tensor mse_loss(const at::Tensor& input, const at::Tensor& target, int64_t reduction) {
  check_same_device(input, target);
  count_op(input.device().index(), "aten::mse_loss");
  at::NoGradGuard no_grad;
  return copy_to_device_of(at::mse_loss(cpu_alias(input), cpu_alias(target), reduction), input);
}

at::Tensor smooth_l1_loss(const at::Tensor& input, const at::Tensor& target, int64_t reduction,
                          double beta) {
  check_same_device(input, target);
  count_op(input.device().index(), "aten::smooth_l1_loss");
  at::NoGradGuard no_grad;
  return copy_to_device_of(
      at::smooth_l1_loss(cpu_alias(input), cpu_alias(target), reduction, beta), input);
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight,
                       const std::optional<at::Tensor>& bias, c10::SymIntArrayRef stride,
                       c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation, bool transposed,
                       c10::SymIntArrayRef output_padding, c10::SymInt groups) {
  TORCH_CHECK(weight.device() == input.device(),
              "Expected all tensors to be on the same device, but found at least two devices, ",
              input.device(), " and ", weight.device(), "!");
  count_op(input.device().index(), "aten::convolution");
  at::NoGradGuard no_grad;
  std::optional<at::Tensor> cpu_bias;
  if (bias.has_value() && bias->defined()) cpu_bias = cpu_alias(*bias);
  const auto result =
      at::convolution_symint(cpu_alias(input), cpu_alias(weight), cpu_bias, stride, padding,
                             dilation, transposed, output_padding, groups);
  return copy_to_device_of(result, input);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& grad_output, const at::Tensor& input, const at::Tensor& weight,
    c10::SymIntArrayRef stride, c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation,
    bool transposed, c10::SymIntArrayRef output_padding, c10::SymInt groups,
    std::array<bool, 3> wanted) {
  count_op(input.device().index(), "aten::convolution_backward");
  at::NoGradGuard no_grad;
  const c10::SymInt outputs =
      transposed ? weight.sym_size(1) * groups : weight.sym_size(0) * c10::SymInt(1);
  const std::vector<c10::SymInt> bias_size{outputs};
  const auto [grad_input, grad_weight, grad_bias] = at::convolution_backward_symint(
      cpu_alias(grad_output), cpu_alias(input), cpu_alias(weight),
      c10::OptionalArrayRef<c10::SymInt>(bias_size), stride, padding, dilation, transposed,
      output_padding, groups, wanted);
  const auto move = [&](const at::Tensor& result) {
    return result.defined() ? copy_to_device_of(result, input) : result;
  };
  return {move(grad_input), move(grad_weight), move(grad_bias)};
}

// ---------------------------------------------------------------------------
// Every other operator: check the devices, then run it on the CPU
// ---------------------------------------------------------------------------

// Finds the one device of a call, and the first tensor that is somewhere else.
struct DeviceCheck {
  std::optional<c10::Device> device;
  std::optional<c10::Device> stranger;

  void see_fake(const at::Tensor& tensor) {
    if (!tensor.defined() || !is_fake(tensor)) return;
    if (!device) {
      device = tensor.device();
    } else if (*device != tensor.device()) {
      stranger = tensor.device();
    }
  }
  // As with CUDA, a zero-dimensional CPU tensor may join.
  void see_other(const at::Tensor& tensor) {
    if (!tensor.defined() || is_fake(tensor)) return;
    if (tensor.dim() == 0 && tensor.device().is_cpu()) return;
    stranger = tensor.device();
  }
};

// Without a generator a CUDA kernel draws from its device's own; the CPU kernel that runs here
// would draw from the CPU's.
void use_generator_of_device(const c10::OperatorHandle& op, torch::jit::Stack* stack,
                             c10::Device device) {
  const auto& arguments = op.schema().arguments();
  const size_t first = stack->size() - arguments.size();
  for (size_t i = 0; i < arguments.size(); i++) {
    if (arguments[i].name() != "generator" || !(*stack)[first + i].isNone()) continue;
    const auto& generator = default_generators().at(device_or_current(device.index()));
    (*stack)[first + i] =
        static_cast<FakeGenerator*>(generator.unsafeGetGeneratorImpl())->cpu_twin;
  }
}

void cpu_fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& name = op.schema().name();
  const bool is_indexing = name.find("aten::index") == 0 || name.find("aten::_index_put") == 0;
  const size_t first = stack->size() - op.schema().arguments().size();
  DeviceCheck check;

  for (size_t i = first; i < stack->size(); i++) {
    auto& value = (*stack)[i];
    if (value.isTensor()) {
      check.see_fake(value.toTensor());
    } else if (value.isTensorList()) {
      for (const auto& tensor : value.toTensorVector()) check.see_fake(tensor);
    } else if (value.isDevice() && value.toDevice().type() == kFake && !check.device) {
      check.device = value.toDevice();
    }
  }
  for (size_t i = first; i < stack->size(); i++) {
    auto& value = (*stack)[i];
    if (value.isTensor()) {
      check.see_other(value.toTensor());
    } else if (value.isTensorList() && !is_indexing) {  // CPU indices are allowed
      for (const auto& tensor : value.toTensorVector()) check.see_other(tensor);
    } else if (value.isGenerator() && value.toGenerator().defined()) {
      auto generator = value.toGenerator();
      if (generator.device().type() == kFake) {
        value = static_cast<FakeGenerator*>(generator.unsafeGetGeneratorImpl())->cpu_twin;
      } else {
        TORCH_CHECK(!check.device,
                    "Expected a 'fake' device type for generator but found 'cpu'");
      }
    }
  }
  TORCH_CHECK(!check.device || !check.stranger,
              "Expected all tensors to be on the same device, but found at least two devices, ",
              *check.device, " and ", *check.stranger, "! (when checking argument in method ",
              name, ")");
  if (check.device) {
    count_op(device_or_current(check.device->index()), name);
    if (!g_shared_rng) use_generator_of_device(op, stack, *check.device);
  }
  FallbackScope scope;
  at::native::cpu_fallback(op, stack);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&cpu_fallback>());
}

TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFallthrough());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &empty_memory_format);
  m.impl("empty_strided", &empty_strided);
  m.impl("_copy_from", &copy_from);
  m.impl("_copy_from_and_resize", &copy_from_and_resize);
  m.impl("_local_scalar_dense", &local_scalar_dense);
  m.impl("resize_", &resize);
  m.impl("as_strided", &as_strided);
  m.impl("view", &view);
  m.impl("_reshape_alias", &reshape_alias);
  m.impl("unfold", &unfold);
  m.impl("set_.source_Storage_storage_offset", &set_storage_offset);
  m.impl("set_.source_Storage", &set_storage);
  m.impl("set_.source_Tensor", &set_tensor);
  m.impl("set_", &set_empty);
  m.impl("record_stream", &record_stream);
  m.impl("native_batch_norm", &batch_norm);
  m.impl("native_dropout", &native_dropout);
  m.impl("mse_loss", &mse_loss);
  m.impl("smooth_l1_loss", &smooth_l1_loss);
  m.impl("convolution_overrideable", &convolution);
  m.impl("convolution_backward_overrideable", &convolution_backward);
}

// ---------------------------------------------------------------------------
// Python interface
// ---------------------------------------------------------------------------

Counters& checked_counters(int device) {
  TORCH_CHECK(device >= 0 && device < device_count(), "fake error: invalid device ordinal");
  return g_counters[device];
}

py::dict stats(int device) {
  const auto& counters = checked_counters(device);
  py::dict result;
  result["current"] = counters.current.load();
  result["peak"] = counters.peak.load();
  result["allocs"] = counters.allocs.load();
  result["h2d"] = counters.h2d.load();
  result["d2h"] = counters.d2h.load();
  result["d2d"] = counters.d2d.load();
  result["h2d_bytes"] = counters.h2d_bytes.load();
  result["d2h_bytes"] = counters.d2h_bytes.load();
  result["non_blocking"] = counters.non_blocking.load();
  result["syncs"] = counters.syncs.load();
  result["ops"] = counters.ops.load();
  return result;
}

void reset_stats(int device) {
  auto& counters = checked_counters(device);
  counters.peak = counters.current.load();
  for (auto* counter : {&counters.allocs, &counters.h2d, &counters.d2h, &counters.d2d,
                        &counters.h2d_bytes, &counters.d2h_bytes, &counters.non_blocking,
                        &counters.syncs, &counters.ops}) {
    *counter = 0;
  }
  std::lock_guard<std::mutex> lock(counters.names_mutex);
  counters.names.clear();
}

std::map<std::string, int64_t> op_counts(int device) {
  auto& counters = checked_counters(device);
  std::lock_guard<std::mutex> lock(counters.names_mutex);
  return counters.names;
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("stats", &stats);
  m.def("reset_stats", &reset_stats);
  m.def("set_limit", [](int device, int64_t bytes) { checked_counters(device).limit = bytes; });
  m.def("op_counts", &op_counts);
  m.def("fail_allocation", [](int device, int64_t number) {
    checked_counters(device).allocs_until_failure = number;
  });
  m.def("set_lost", [](int device, bool lost) { checked_counters(device).lost = lost; });
  m.def("set_shared_rng", [](bool shared) { g_shared_rng = shared; });
  m.def("no_limit", [] { return kNoLimit; });
  m.def("device_count", &device_count);
  m.def("current_device", [] { return t_device; });
  m.def("set_device", [](int device) {
    checked_counters(device);
    t_device = device;
  });
  m.def("default_generator", [](int device) { return default_generators().at(device); });
}
