// sanitizers.hpp - what a test can't ask of a program that a sanitizer watches.
#pragma once

namespace recto {

// ThreadSanitizer holds signals back until a call that it knows; a thread in another one can't be asked then.
#ifdef __SANITIZE_THREAD__
inline constexpr bool kSignalsComeAtOnce = false;
#else
inline constexpr bool kSignalsComeAtOnce = true;
#endif

}  // namespace recto
