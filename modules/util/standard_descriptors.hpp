// standard_descriptors.hpp - descriptors 0, 1 and 2 are open before anything else is.
//
// A program may be started with any of them closed (`recto cache stats >&-`). The next file it opened, its database or its log, would get
// the number, and what is printed would be written into it.
//
// Errors:   std::system_error without /dev/null.
// Threads:  before there is a second one.
// Source:   POSIX, open(): the lowest descriptor that is free. gnulib's stdopen opens the wrong way round too.
#pragma once

namespace recto {

// Opens /dev/null for each that is closed: so that a read of 0 and a write to 1 fail, as they would with a closed one, because input that
// isn't there and output that goes nowhere are errors. What is written to 2 goes nowhere: it is mostly the news of another error.
void fill_standard_descriptors();

}  // namespace recto
