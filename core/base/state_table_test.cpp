#include "core/base/state_table.hpp"

#include "tests/catch.hpp"

using namespace hawser;

namespace {
enum class State { Open, Shut };
enum class Event { Push, Pull };
enum class Action { None };
using Row = Transition<State, Event, Action>;
constexpr std::array kDoor{Row{State::Open, Event::Push, Action::None, State::Shut},
                           Row{State::Shut, Event::Pull, Action::None, State::Open}};
constexpr std::array kTwice{kDoor[0], kDoor[0]};
static_assert(is_deterministic(kDoor) && !is_deterministic(kTwice));
static_assert(always_leads_to(kDoor, 2, Event::Pull, State::Open));
static_assert(!always_leads_to(kDoor, 2, Event::Push, State::Open));
}  // namespace

TEST_CASE("a table answers with the row of state and event, or with nothing") {
  CHECK(find_row(kDoor, State::Open, Event::Push)->to == State::Shut);
  CHECK_FALSE(find_row(kDoor, State::Open, Event::Pull));
}
