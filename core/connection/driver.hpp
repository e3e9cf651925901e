#pragma once

#include "core/connection/connection_states.hpp"
#include "core/connection/waits.hpp"

namespace hawser::connection {

// What the driver needs of the world: a real one in session.hpp, a scripted one in the tests.
// Owned by the driver's owner; called on the connection thread.
class Steps {
 public:
  virtual ~Steps() = default;
  virtual TimePoint now() const = 0;
  // Every action but the waits and Rest; `server` is the index of the server whose turn it is.
  virtual Outcome perform(Action action, std::size_t server) = 0;
  // WaitOver, Reset or Stopped. What changes meanwhile may change the end of the wait, and whose turn it is.
  virtual Outcome wait_until(TimePoint due) = 0;
  virtual const Setback& setback() const = 0;  // of the last Failed, TokenRefused, NotRegistered or NonceRequired
  virtual const Loss& loss() const = 0;        // of the last connection
  virtual void forget_token(std::size_t server) = 0;
  // Every change of state passes here; `reason` is one clause for the log.
  virtual void entered(State from, State to, Outcome outcome) = 0;
};

// Walks the table until it is stopped. Lives and dies on the connection thread. The steps know the waits too: a reset,
// and whatever changes the list, is theirs to tell them.
class Driver {
 public:
  static constexpr unsigned kNonceRefusalsMax = 3;  // the third in a row is a failure

  Driver(Steps& steps, Waits& waits) : steps_(steps), waits_(waits) {}

  void run();

 private:
  Outcome perform(Action action);
  Outcome limited(Outcome outcome);
  TimePoint due(Action wait);

  Steps& steps_;
  Waits& waits_;
  unsigned nonce_refusals_ = 0;       // in a row
  bool authenticated_again_ = false;  // each once per attempt
  bool registered_again_ = false;
};

}  // namespace hawser::connection
