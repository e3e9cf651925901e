#include "core/connection/driver.hpp"

#include <stdexcept>
#include <string>

namespace hawser::connection {

void Driver::run() {
  State state = State::Idle;
  Outcome outcome = Outcome::Started;
  do {
    const auto row = find_row(kTable, state, outcome);
    if (!row)
      throw std::logic_error("no row for " + std::string(name_of(state)) + ", " + std::string(name_of(outcome)));
    steps_.entered(row->from, row->to, row->on);
    state = row->to;
    if (row->then != Action::Rest) outcome = limited(perform(row->then));
  } while (state != State::Idle);
}

Outcome Driver::perform(Action action) {
  switch (action) {
    case Action::Dial:
      authenticated_again_ = registered_again_ = false;
      nonce_refusals_ = 0;
      waits_.dialling();
      return steps_.perform(action, waits_.server());
    case Action::ForgetTokenAndWaitSpread:
    case Action::ForgetTokenAndWaitLong:
      steps_.forget_token(waits_.server());
      return steps_.wait_until(due(action));
    case Action::WaitForTurn:
    case Action::WaitSpread:
    case Action::WaitForTwin:
    case Action::WaitHalfMinute:
    case Action::WaitForDrain:
    case Action::WaitForServer:
      return steps_.wait_until(due(action));
    default:
      return steps_.perform(action, waits_.server());
  }
}

TimePoint Driver::due(Action wait) {
  const TimePoint now = steps_.now();
  const Loss& loss = steps_.loss();
  switch (wait) {
    case Action::WaitForTurn:
      return waits_.after_failure(now, steps_.setback());
    case Action::ForgetTokenAndWaitLong:
      return waits_.after_removal(now, loss);
    case Action::WaitForTwin:
      return waits_.after_twin(now, loss);
    case Action::WaitHalfMinute:
      return waits_.after_try_later(now, loss);
    case Action::WaitForDrain:
      return waits_.after_drain(now, loss);
    case Action::WaitForServer:
      return waits_.due();
    default:
      return waits_.after_loss(now, loss);
  }
}

// What may happen only so often in one attempt becomes a failure beyond that.
Outcome Driver::limited(Outcome outcome) {
  switch (outcome) {
    case Outcome::NonceRequired:
      return ++nonce_refusals_ < kNonceRefusalsMax ? outcome : Outcome::Failed;
    case Outcome::Authenticated:
      nonce_refusals_ = 0;
      waits_.authenticated();
      return outcome;
    case Outcome::TokenRefused:
      if (authenticated_again_) return Outcome::Failed;
      authenticated_again_ = true;
      return outcome;
    case Outcome::NotRegistered:
      if (registered_again_) return Outcome::Failed;
      registered_again_ = true;
      return outcome;
    case Outcome::Established:
      waits_.established();
      return outcome;
    default:
      return outcome;
  }
}

}  // namespace hawser::connection
