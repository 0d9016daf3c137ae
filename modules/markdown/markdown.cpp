#include "markdown/markdown.hpp"

#include <memory>

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm-extension_api.h>
#include <cmark-gfm.h>

#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::size_t kMaxInput = 4096;
constexpr std::size_t kMaxHeading = 300;

struct FreeNode {
    void operator()(cmark_node* node) const { cmark_node_free(node); }
};
struct FreeIterator {
    void operator()(cmark_iter* iterator) const { cmark_iter_free(iterator); }
};

struct FreeParser {
    void operator()(cmark_parser* parser) const { cmark_parser_free(parser); }
};

using Document = std::unique_ptr<cmark_node, FreeNode>;

// With tables, or their rows would be paragraphs.
Document parsed_beginning(std::string_view markdown) {
    static const bool registered = (cmark_gfm_core_extensions_ensure_registered(), true);  // once, whichever thread is first
    const auto beginning = cut_utf8(markdown, kMaxInput);
    const std::unique_ptr<cmark_parser, FreeParser> parser(cmark_parser_new(CMARK_OPT_DEFAULT));
    if (auto* const table = registered ? cmark_find_syntax_extension("table") : nullptr)
        cmark_parser_attach_syntax_extension(parser.get(), table);
    cmark_parser_feed(parser.get(), beginning.data(), beginning.size());
    return Document(cmark_parser_finish(parser.get()));
}

// Without the alternative texts of pictures.
std::string plain_text(cmark_node* block) {
    std::string text;
    int pictures = 0;
    const std::unique_ptr<cmark_iter, FreeIterator> iterator(cmark_iter_new(block));
    for (auto event = cmark_iter_next(iterator.get()); event != CMARK_EVENT_DONE; event = cmark_iter_next(iterator.get())) {
        auto* const node = cmark_iter_get_node(iterator.get());
        const auto type = cmark_node_get_type(node);
        if (type == CMARK_NODE_IMAGE) pictures += event == CMARK_EVENT_ENTER ? 1 : -1;
        if (event != CMARK_EVENT_ENTER || pictures > 0) continue;
        if (type == CMARK_NODE_TEXT || type == CMARK_NODE_CODE) text += cmark_node_get_literal(node);
        if (type == CMARK_NODE_SOFTBREAK || type == CMARK_NODE_LINEBREAK) text += ' ';
    }
    return std::string(trim(text));
}

// Of the first block of that type that has any.
std::string first_text_of(const Document& document, cmark_node_type type) {
    for (auto* block = cmark_node_first_child(document.get()); block != nullptr; block = cmark_node_next(block))
        if (cmark_node_get_type(block) == type)
            if (auto text = plain_text(block); !text.empty()) return text;
    return {};
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
    return shortened(first_text_of(parsed_beginning(markdown), CMARK_NODE_PARAGRAPH), max_bytes);
}

std::string first_heading(std::string_view markdown) {
    return shortened(first_text_of(parsed_beginning(markdown), CMARK_NODE_HEADING), kMaxHeading);
}

std::string_view before_more(std::string_view markdown) {
    constexpr std::string_view kOpen = "<!--";
    for (auto open = markdown.find(kOpen); open != std::string_view::npos; open = markdown.find(kOpen, open + 1)) {
        const auto behind = markdown.substr(open + kOpen.size());
        const auto words = trim(behind.substr(0, behind.find("-->")));
        const bool ends = words.size() == 4 || (words.size() > 4 && (words[4] == ' ' || words[4] == '\n' || words[4] == '\t'));
        if (ends && lower_ascii(words.substr(0, 4)) == "more" && behind.find("-->") != std::string_view::npos)
            return markdown.substr(0, open);
    }
    return markdown;
}

}  // namespace recto
