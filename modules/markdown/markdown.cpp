#include "markdown/markdown.hpp"

#include <memory>

#include <cmark-gfm.h>

#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::size_t kMaxInput = 4096;

struct FreeNode {
    void operator()(cmark_node* node) const { cmark_node_free(node); }
};
struct FreeIterator {
    void operator()(cmark_iter* iterator) const { cmark_iter_free(iterator); }
};

cmark_node* first_paragraph_of(cmark_node* document) {
    for (auto* block = cmark_node_first_child(document); block != nullptr; block = cmark_node_next(block))
        if (cmark_node_get_type(block) == CMARK_NODE_PARAGRAPH) return block;
    return nullptr;
}

std::string plain_text(cmark_node* paragraph) {
    std::string text;
    const std::unique_ptr<cmark_iter, FreeIterator> iterator(cmark_iter_new(paragraph));
    for (auto event = cmark_iter_next(iterator.get()); event != CMARK_EVENT_DONE; event = cmark_iter_next(iterator.get())) {
        if (event != CMARK_EVENT_ENTER) continue;
        auto* const node = cmark_iter_get_node(iterator.get());
        const auto type = cmark_node_get_type(node);
        if (type == CMARK_NODE_TEXT || type == CMARK_NODE_CODE) text += cmark_node_get_literal(node);
        if (type == CMARK_NODE_SOFTBREAK || type == CMARK_NODE_LINEBREAK) text += ' ';
    }
    return std::string(trim(text));
}

std::string shortened(const std::string& text, std::size_t max_bytes) {
    constexpr std::string_view kEllipsis = "\u2026";
    if (text.size() <= max_bytes) return text;
    auto cut = cut_utf8(text, max_bytes - kEllipsis.size());
    if (const auto blank = cut.find_last_of(' '); blank != std::string_view::npos) cut = cut.substr(0, blank);
    return std::string(trim(cut)) + std::string(kEllipsis);
}

}  // namespace

std::string first_paragraph(std::string_view markdown, std::size_t max_bytes) {
    const auto beginning = cut_utf8(markdown, kMaxInput);
    const std::unique_ptr<cmark_node, FreeNode> document(cmark_parse_document(beginning.data(), beginning.size(), CMARK_OPT_DEFAULT));
    auto* const paragraph = first_paragraph_of(document.get());
    return paragraph == nullptr ? std::string() : shortened(plain_text(paragraph), max_bytes);
}

}  // namespace recto
