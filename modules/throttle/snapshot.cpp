#include "throttle/snapshot.hpp"

#include <algorithm>
#include <cstring>

#include "throttle/accept_times.hpp"
#include "util/bytes.hpp"
#include "util/file.hpp"

namespace recto {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kMagic = "recto throttle 2";
constexpr std::size_t kMostScopes = 64;
constexpr std::uint8_t kNetwork = 2;  // a record's kind: 0 an address, 1 a user

std::uint64_t since_epoch(std::chrono::system_clock::time_point time) {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count());
}

std::string_view view_of(const auto& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string encode(const ThrottleSnapshot& snapshot, std::uint64_t saved) {
    std::string out;
    ByteWriter writer(out);
    writer.text(kMagic);
    writer.number(saved);
    writer.text(view_of(snapshot.secret));
    writer.number(static_cast<std::uint32_t>(snapshot.scopes.size()));
    for (const auto& scope : snapshot.scopes) writer.text(scope);
    for (const auto& record : snapshot.records) {
        writer.number(record.scope);
        writer.number(record.is_network ? kNetwork : static_cast<std::uint8_t>(record.is_user));
        writer.number(record.tag);
        for (const auto network : record.networks) writer.number(network);
        writer.number(static_cast<std::uint32_t>(record.ages.size()));
        for (const auto age : record.ages) writer.number(age);
    }
    return out;
}

ThrottleSnapshot::Record read_record(ByteReader& reader) {
    ThrottleSnapshot::Record record;
    record.scope = reader.number<std::uint32_t>();
    const auto kind = reader.number<std::uint8_t>();
    record.is_user = kind == 1;
    record.is_network = kind == kNetwork;
    record.tag = reader.number<std::uint64_t>();
    for (auto& network : record.networks) network = reader.number<std::uint16_t>();
    const auto count = reader.number<std::uint32_t>();
    for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) record.ages.push_back(reader.number<std::uint32_t>());
    return record;
}

bool is_possible(const ThrottleSnapshot& snapshot) {
    return std::ranges::all_of(snapshot.records, [&](const ThrottleSnapshot::Record& record) {
        return record.scope < snapshot.scopes.size() && record.tag != 0 && std::ranges::is_sorted(record.ages, std::greater());
    });
}

std::optional<ThrottleSnapshot> decode(std::string_view text, std::uint64_t now) {
    ByteReader reader(text);
    if (reader.text() != kMagic) return {};
    const auto saved = reader.number<std::uint64_t>();
    const auto secret = reader.text();
    const auto scopes = reader.number<std::uint32_t>();
    ThrottleSnapshot snapshot;
    if (secret.size() != snapshot.secret.size() || scopes > kMostScopes) return {};
    std::memcpy(snapshot.secret.data(), secret.data(), secret.size());
    for (std::uint32_t i = 0; i < scopes; ++i) snapshot.scopes.emplace_back(reader.text());
    while (!reader.failed() && !reader.at_end()) snapshot.records.push_back(read_record(reader));
    if (reader.failed() || !is_possible(snapshot)) return {};
    snapshot.downtime = now > saved ? (now - saved) * kTicksPerSecond / 1000 : 0;
    return snapshot;
}

}  // namespace

void save(const ThrottleSnapshot& snapshot, const std::filesystem::path& path, std::chrono::system_clock::time_point now) {
    const auto content = encode(snapshot, since_epoch(now));
    replace_file(path, content + std::string(view_of(hash128(content))), 0600);
}

std::optional<ThrottleSnapshot> load_snapshot(const std::filesystem::path& path, std::chrono::system_clock::time_point now) {
    std::error_code none;
    if (!std::filesystem::is_regular_file(path, none)) return {};
    const auto whole = read_file(path);
    if (whole.size() < sizeof(Hash128)) return {};
    const auto content = std::string_view(whole).substr(0, whole.size() - sizeof(Hash128));
    if (std::string_view(whole).substr(content.size()) != view_of(hash128(content))) return {};
    return decode(content, since_epoch(now));
}

}  // namespace recto
