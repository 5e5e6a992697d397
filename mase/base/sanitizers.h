// What a build with sanitizers cannot have.
#ifndef MASE_BASE_SANITIZERS_H_
#define MASE_BASE_SANITIZERS_H_

namespace mase {

// Sanitizers map terabytes of addresses for their own books, beside which no limit of a process's
// addresses makes sense.
#if defined(__SANITIZE_ADDRESS__) || defined(MASE_THREAD_SANITIZER)
inline constexpr bool kAddressesAreBounded = false;
#elif defined(__has_feature)  // Clang's word for it.
inline constexpr bool kAddressesAreBounded = !__has_feature(address_sanitizer);
#else
inline constexpr bool kAddressesAreBounded = true;
#endif

}  // namespace mase

#endif  // MASE_BASE_SANITIZERS_H_
