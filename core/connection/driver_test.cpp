#include "core/connection/driver.hpp"

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;

namespace {

milliseconds most_of(milliseconds, milliseconds most) { return most; }

// A world on a virtual clock: each action takes its outcome from a script; when the script is at its end, it stops.
class ScriptedSteps : public Steps {
 public:
  struct Line {
    Action action;
    Outcome outcome;
    Setback setback{};
  };

  explicit ScriptedSteps(std::deque<Line> script) : script_(std::move(script)) {}

  TimePoint now() const override { return now_; }
  Outcome perform(Action action, std::size_t) override {
    story += std::string(story.empty() ? "" : "; ") + std::string(name_of(action));
    if (script_.empty()) return Outcome::Stopped;
    const Line line = script_.front();
    script_.pop_front();
    INFO(story);
    REQUIRE(line.action == action);
    setback_ = line.setback;
    return line.outcome;
  }
  Outcome wait_until(TimePoint due) override {
    if (due <= now_) return Outcome::WaitOver;  // as the real one does: no word about a wait that is none
    const auto wait = std::chrono::duration_cast<seconds>(due - now_);
    story += "; wait " + std::to_string(wait.count()) + " s";
    if (reset_in_next_wait) {
      reset_in_next_wait = false;
      waits.reset(false);
      return Outcome::Reset;
    }
    now_ = due;
    return Outcome::WaitOver;
  }
  const Setback& setback() const override { return setback_; }
  const Loss& loss() const override { return loss_; }
  void forget_token(std::size_t) override { story += "; forget the token"; }
  void entered(State from, State to, Outcome) override {
    if (states.empty()) states.push_back(from);
    states.push_back(to);
  }

  std::string story;
  std::vector<State> states;
  bool reset_in_next_wait = false;
  Waits waits{most_of, 1};

 private:
  Loss loss_{1h, 2s, seconds(40)};
  std::deque<Line> script_;
  Setback setback_;
  TimePoint now_{std::chrono::hours(1000)};
};

using Line = ScriptedSteps::Line;

std::string story_of(std::deque<Line> script) {
  ScriptedSteps steps(std::move(script));
  Driver(steps, steps.waits).run();
  return steps.story;
}

// A good beginning of each script that looks at what follows.
std::deque<Line> established_then(Line last) {
  return {{Action::Dial, Outcome::Connected},
          {Action::Authenticate, Outcome::Authenticated},
          {Action::KeepToken, Outcome::TokenKept},
          {Action::Register, Outcome::Registered},
          {Action::DialConnection, Outcome::Secured},
          {Action::Upgrade, Outcome::Established},
          std::move(last)};
}
const std::string kEstablished =
    "dial; authenticate; keep the token; register; dial the connection's host; upgrade; serve";

}  // namespace

TEST_CASE("a good attempt walks through the guide's device states in their order") {
  ScriptedSteps steps(established_then({Action::Serve, Outcome::Stopped}));
  Driver(steps, steps.waits).run();
  CHECK(steps.story == kEstablished);
  CHECK(steps.states == std::vector{State::Idle, State::Waiting, State::Connecting, State::RequestAuth,
                                    State::RequestAuthSuccess, State::Register, State::RegisterSuccess,
                                    State::RequestHandshake, State::RequestSuccess, State::Idle});
}

TEST_CASE("after a close each reason is followed up in its own way") {
  struct Case {
    Outcome outcome;
    const char* then;
  };
  const Case one = GENERATE(
      Case{Outcome::Lost, "; wait 2 s; dial"}, Case{Outcome::TokenWithdrawn, "; forget the token; wait 2 s; dial"},
      Case{Outcome::Removed, "; forget the token; wait 902 s; dial"}, Case{Outcome::Replaced, "; wait 62 s; dial"},
      Case{Outcome::TryLater, "; wait 32 s; dial"}, Case{Outcome::Drained, "; wait 40 s; dial"},
      Case{Outcome::Reset, "; dial"}, Case{Outcome::Changed, "; dial"});
  INFO(name_of(one.outcome));
  CHECK(story_of(established_then({Action::Serve, one.outcome})) == kEstablished + one.then);
}

TEST_CASE("[conn-4] an expired keepalive leads to registration: a token in hand is used, not asked for anew") {
  auto script = established_then({Action::Serve, Outcome::Lost});
  script.push_back({Action::Dial, Outcome::ConnectedWithToken});
  CHECK(story_of(script) == kEstablished + "; wait 2 s; dial; register");
}

TEST_CASE("the third nonce_required in a row is a failure") {
  const Line again{Action::Authenticate, Outcome::NonceRequired, {{"nonce_required", ""}, std::nullopt, false}};
  CHECK(story_of({{Action::Dial, Outcome::Connected}, again, again, again}) ==
        "dial; authenticate; authenticate; authenticate; wait 1 s; dial");
}

TEST_CASE("a refused token is replaced once in an attempt, an unknown registration renewed once") {
  const Line connected{Action::Dial, Outcome::ConnectedWithToken};
  const Line authenticated{Action::Authenticate, Outcome::Authenticated};
  const Line kept{Action::KeepToken, Outcome::TokenKept};
  const Line registered{Action::Register, Outcome::Registered};
  const Line secured{Action::DialConnection, Outcome::Secured};
  SECTION("401 of the registration, twice") {
    const Line refused{Action::Register, Outcome::TokenRefused};
    CHECK(story_of({connected, refused, authenticated, kept, refused}) ==
          "dial; register; authenticate; keep the token; register; wait 1 s; dial");
  }
  SECTION("401 of the upgrade after 401 of the registration") {
    CHECK(story_of({connected,
                    {Action::Register, Outcome::TokenRefused},
                    authenticated,
                    kept,
                    registered,
                    secured,
                    {Action::Upgrade, Outcome::TokenRefused}}) ==
          "dial; register; authenticate; keep the token; register; dial the connection's host; upgrade; wait 1 s; "
          "dial");
  }
  SECTION("404 of the upgrade, twice") {
    const Line unknown{Action::Upgrade, Outcome::NotRegistered};
    CHECK(story_of({connected, registered, secured, unknown, registered, secured, unknown}) ==
          "dial; register; dial the connection's host; upgrade; register; dial the connection's host; upgrade; "
          "wait 1 s; dial");
  }
  SECTION("and once more in the next attempt") {
    const Line refused{Action::Register, Outcome::TokenRefused};
    CHECK(story_of({connected, refused, authenticated, kept, refused, connected, refused}) ==
          "dial; register; authenticate; keep the token; register; wait 1 s; dial; register; authenticate");
  }
}

TEST_CASE("[conn-2] a refused serial is asked for again with a wait of minutes") {
  const Setback unknown{{"unknown_serial", ""}, std::nullopt, true};
  CHECK(story_of({{Action::Dial, Outcome::Connected}, {Action::Authenticate, Outcome::Failed, unknown}}) ==
        "dial; authenticate; wait 300 s; dial");
}

TEST_CASE("a reset ends a wait, and the next round begins with a backoff of 1 s") {
  const Line failed{Action::Dial, Outcome::Failed};
  ScriptedSteps steps({failed, failed, failed, failed});
  Driver driver(steps, steps.waits);
  SECTION("without") {
    driver.run();
    CHECK(steps.story == "dial; wait 1 s; dial; wait 2 s; dial; wait 4 s; dial; wait 8 s; dial");
  }
  SECTION("with") {
    steps.reset_in_next_wait = true;
    driver.run();
    CHECK(steps.story == "dial; wait 1 s; dial; wait 1 s; dial; wait 2 s; dial; wait 4 s; dial");
  }
}
