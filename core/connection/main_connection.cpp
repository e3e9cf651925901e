#include "core/connection/main_connection.hpp"

#include <spdlog/spdlog.h>

#include <csignal>
#include <thread>

#include "core/connection/session.hpp"

namespace hawser::connection {
namespace {

constexpr milliseconds kAfterMistake = 5s;  // a mistake of ours must not become a busy loop

// A thread that takes no signals: they are the main thread's.
template <typename Run>
std::thread start_quietly(Run run) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(run);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

class Running : public MainConnection {
 public:
  Running(config::Settings settings, Identity identity, DeviceKey key, Observer& observer)
      : shared_(std::move(settings), std::move(identity), observer), key_(std::move(key)) {}
  ~Running() override { stop(); }

  void start(std::vector<Offer> offers) override {
    shared_.requests.offers(std::move(offers));
    thread_ = start_quietly([this] { run(); });
  }
  void stop() override {
    shared_.interrupts.stop();
    if (thread_.joinable()) thread_.join();
  }
  void set_offers(std::vector<Offer> offers) override {
    shared_.requests.offers(std::move(offers));
    wake();
  }
  void request_grants() override {
    shared_.requests.grants();
    wake();
  }
  void reset() override { shared_.interrupts.reset(); }
  void reach_cloud(std::uint64_t id) override {
    shared_.requests.reach(id);
    wake();
  }
  void report(Event event) override {
    shared_.reports.push(event, shared_.floor.clock_is_trusted());
    wake();
  }
  void command_result(std::string id, Result<json::Object> result) override {
    shared_.requests.result(std::move(id), std::move(result));
    wake();
  }

 private:
  void wake() { shared_.interrupts.waker().wake(); }

  // The thread's door: no exception passes.
  void run() {
    shared_.board.enter(State::Idle);
    shared_.observer.on_validity_floor(shared_.floor.value());
    while (!shared_.interrupts.stopping()) {
      try {
        Session session(shared_, key_);
        Driver(session, Waits(session.servers(), random_between)).run();
      } catch (const std::exception& mistake) {
        spdlog::error("main connection: {}; it begins anew", mistake.what());
        shared_.board.enter(State::Idle);
        const TimePoint again = Clock::now() + kAfterMistake;
        while (!shared_.interrupts.stopping() && Clock::now() < again) shared_.interrupts.waker().wait({}, again);
      }
    }
  }

  Shared shared_;
  DeviceKey key_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<MainConnection>> MainConnection::make(config::Settings settings, Identity identity,
                                                             Observer& observer) {
  if (settings.servers.empty()) return Error{"bad_request", "cloud.server: no server is configured"};
  if (const Status made = make_folder(identity.state_dir); !made) return made.error();
  auto key = DeviceKey::load_or_make(identity.state_dir / "device.key");
  if (!key) return key.error();
  spdlog::info("device key {}", key->thumbprint());
  return std::unique_ptr<MainConnection>(
      new Running(std::move(settings), std::move(identity), std::move(*key), observer));
}

}  // namespace hawser::connection
