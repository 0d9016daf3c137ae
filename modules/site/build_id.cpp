#include "site/build_id.hpp"

#include <cstring>
#include <span>
#include <string_view>

#include <elf.h>
#include <link.h>

#include "util/crypto.hpp"

namespace recto {
namespace {

constexpr std::size_t aligned(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

// A note: its header, then the name and the content, each padded to 4 bytes.
std::string find_in_notes(std::span<const std::uint8_t> notes) {
    while (notes.size() >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) header;
        std::memcpy(&header, notes.data(), sizeof header);
        const auto whole = sizeof header + aligned(header.n_namesz) + aligned(header.n_descsz);
        if (whole > notes.size()) return {};
        const bool is_gnu = header.n_namesz == sizeof "GNU" && std::memcmp(notes.data() + sizeof header, "GNU", sizeof "GNU") == 0;
        if (is_gnu && header.n_type == NT_GNU_BUILD_ID) return hex(notes.subspan(sizeof header + aligned(header.n_namesz), header.n_descsz));
        notes = notes.subspan(whole);
    }
    return {};
}

// Called for each loaded object; the program itself comes first.
int read_notes(dl_phdr_info* object, std::size_t, void* out) {
    auto& id = *static_cast<std::string*>(out);
    for (const auto& header : std::span(object->dlpi_phdr, object->dlpi_phnum)) {
        if (header.p_type != PT_NOTE || !id.empty()) continue;
        const auto* const notes = reinterpret_cast<const std::uint8_t*>(object->dlpi_addr + header.p_vaddr);  // NOLINT(performance-no-int-to-ptr): so the loader says it
        id = find_in_notes({notes, header.p_memsz});
    }
    return 1;
}

}  // namespace

std::string build_id() {
    std::string id;
    dl_iterate_phdr(read_notes, &id);
    return id;
}

}  // namespace recto
