// sanitizers.hpp - what a test can't ask of a program that a sanitizer watches.
#pragma once

namespace recto {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// UndefinedBehaviorSanitizer, which comes with AddressSanitizer here, looks at an object through a pipe: where no file descriptor is
// free it takes each exception that is caught for none.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kNeedsDescriptors = true;
#else
inline constexpr bool kNeedsDescriptors = false;
#endif

// ThreadSanitizer holds signals back until a call that it knows; a thread in another one can't be asked then.
#ifdef __SANITIZE_THREAD__
inline constexpr bool kSignalsComeAtOnce = false;
#else
inline constexpr bool kSignalsComeAtOnce = true;
#endif

}  // namespace recto
