#include "fcgi/slots.hpp"

namespace recto {

bool ClientSlot::take() {
    auto expected = State::parked;
    return state.compare_exchange_strong(expected, State::working);
}

bool ClientSlot::take_or_mark_more() {
    while (!take()) {
        auto expected = State::working;
        if (state.compare_exchange_strong(expected, State::more)) return false;
        if (expected != State::parked) return false;
    }
    return true;
}

bool ClientSlot::park() {
    auto expected = State::working;
    if (state.compare_exchange_strong(expected, State::parked)) return true;
    state = State::working;
    return false;
}

void ClientSlot::begin_to_wait(Time now, Time until) {
    since = now;
    deadline = until;
    has_begun = false;
}

ClientSlot* ClientSlots::open(UniqueFd& fd, std::chrono::milliseconds io_timeout) {
    const std::lock_guard lock(mutex_);
    auto* const slot = free_slot();
    if (slot == nullptr) return nullptr;
    slot->connection.open(std::move(fd), io_timeout);
    slot->is_ready = false;
    slot->has_answered = false;
    slot->state = ClientSlot::State::working;
    return slot;
}

ClientSlot* ClientSlots::free_slot() {
    if (free_.empty()) return slots_.size() < most_ ? &slots_.emplace_back() : nullptr;
    auto* const slot = free_.back();
    free_.pop_back();
    return slot;
}

void ClientSlots::close(ClientSlot& slot) {
    slot.exchange.reset();
    slot.request = {};
    slot.response.reset();
    const std::lock_guard lock(mutex_);
    slot.connection.close();
    slot.state = ClientSlot::State::free;
    free_.push_back(&slot);
    if (free_.size() == slots_.size()) closed_.notify_all();
}

ClientSlot* ClientSlots::take_longest_parked() {
    const std::lock_guard lock(mutex_);
    for (;;) {
        ClientSlot* longest = nullptr;
        for (auto& slot : slots_)
            if (slot.state == ClientSlot::State::parked && (longest == nullptr || slot.since.load() < longest->since.load())) longest = &slot;
        if (longest == nullptr || longest->take()) return longest;
    }
}

std::vector<ClientSlot*> ClientSlots::take_all_parked() {
    std::vector<ClientSlot*> parked;
    const std::lock_guard lock(mutex_);
    for (auto& slot : slots_)
        if (slot.take()) parked.push_back(&slot);
    return parked;
}

std::vector<ClientSlot*> ClientSlots::take_late(Time now) {
    std::vector<ClientSlot*> late;
    const std::lock_guard lock(mutex_);
    for (auto& slot : slots_) {
        if (slot.read_until.load() <= now) slot.connection.cut_reading();
        if (slot.deadline.load() <= now && slot.take()) late.push_back(&slot);
    }
    return late;
}

bool ClientSlots::are_all_closed_within(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    return closed_.wait_for(lock, patience, [this] { return free_.size() == slots_.size(); });
}

}  // namespace recto
