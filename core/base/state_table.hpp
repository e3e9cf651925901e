#pragma once

#include <array>
#include <cstddef>
#include <optional>

namespace hawser {

// One row of a state machine: in `from`, on `on`, do `then` and be in `to`.
template <typename State, typename Event, typename Action>
struct Transition {
  State from;
  Event on;
  Action then;
  State to;
};

// The row for (from, on), or nothing when the event means nothing in that state.
template <typename Row, std::size_t N>
constexpr std::optional<Row> find_row(const std::array<Row, N>& table, decltype(Row::from) from, decltype(Row::on) on) {
  for (const Row& row : table) {
    if (row.from == from && row.on == on) return row;
  }
  return std::nullopt;
}

// For a static_assert: one row per (state, event) pair, so the order of rows never matters.
template <typename Row, std::size_t N>
constexpr bool is_deterministic(const std::array<Row, N>& table) {
  for (std::size_t i = 0; i < N; ++i) {
    for (std::size_t j = i + 1; j < N; ++j) {
      if (table[i].from == table[j].from && table[i].on == table[j].on) return false;
    }
  }
  return true;
}

// For a static_assert: from every state but `target`, `event` leads to `target`.
template <typename Row, std::size_t N>
constexpr bool always_leads_to(const std::array<Row, N>& table, std::size_t state_count, decltype(Row::on) event,
                               decltype(Row::to) target) {
  using State = decltype(Row::from);
  for (std::size_t i = 0; i < state_count; ++i) {
    const auto state = static_cast<State>(i);
    if (state == target) continue;
    const auto row = find_row(table, state, event);
    if (!row || row->to != target) return false;
  }
  return true;
}

}  // namespace hawser
