#include "core/connection/main_connection.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "core/base/encoding.hpp"
#include "core/base/quiet_thread.hpp"
#include "core/connection/session.hpp"

namespace hawser::connection {
namespace {

// Letters that nobody mistakes for a digit (sdk/protocol.md §4).
bool is_unbinding_code(const std::string& code) {
  constexpr std::size_t kBytes = 8;
  return code.size() == kBytes &&
         std::all_of(code.begin(), code.end(), [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '9'); });
}

constexpr milliseconds kAfterMistake = 5s;  // a mistake of ours must not become a busy loop

class Running : public MainConnection {
 public:
  Running(config::Settings settings, Identity identity, DeviceKey key, Observer& observer, Limits limits)
      : newest_{settings, std::nullopt},
        shared_(std::move(settings), std::move(identity), limits, observer),
        key_(std::move(key)) {}
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
  void reset(bool first) override { shared_.interrupts.reset(first); }
  void configure(config::Settings settings) override {
    bool concerns_attempts = false;
    {
      const std::lock_guard lock(mutex_);
      concerns_attempts = concerns_an_attempt({newest_.settings, newest_.dhcp}, {settings, newest_.dhcp});
      newest_.settings = settings;
    }
    shared_.requests.configure(std::move(settings));
    concerns_attempts ? shared_.interrupts.change() : wake();  // either ends the own backoff
  }
  void set_dhcp(std::optional<DhcpOffer> offer) override {
    {
      const std::lock_guard lock(mutex_);
      if (newest_.dhcp == offer) return;  // a lease that was only renewed
      newest_.dhcp = offer;
    }
    shared_.requests.dhcp(std::move(offer));
    shared_.interrupts.change();
  }
  void network_changed(NetworkChange change) override {
    shared_.requests.network(change);
    // A sleep has ended every connection, also that of an attempt; the attempt itself sees what else changed.
    change == NetworkChange::Resumed ? shared_.interrupts.change() : wake();
  }
  void unbind(std::uint64_t id, std::string code) override {
    if (!is_unbinding_code(code)) {
      return shared_.observer.on_unbind_result(
          id, Error{"code_wrong", "the code \"" + printable(code, 32) + "\" is not 8 characters of A-Z and 2-9"});
    }
    if (!shared_.established)
      return shared_.observer.on_unbind_result(id, Error{"not_connected", "the device is not connected to its cloud"});
    if (!shared_.requests.unbind(id, std::move(code)))
      return shared_.observer.on_unbind_result(id, Error{"too_many_requests", "other codes wait for their answer"});
    wake();
  }
  Result<std::string> make_proof(const std::string& domain, const std::string& nonce) const override {
    const std::lock_guard lock(mutex_);
    const auto host = canonical_host(domain);
    const auto targets = targets_of(newest_.settings, newest_.dhcp);
    if (std::none_of(targets.begin(), targets.end(), [&](const Target& t) { return canonical_host(t.domain) == host; }))
      return Error{"not_found", "\"" + printable(domain) + "\" is no server of the list: no proof is made for others"};
    if (!is_nonce(nonce)) return Error{"bad_request", "a nonce is 16 to 128 characters of base64url"};
    return connection::make_proof(key_, newest_.settings.serial, host, nonce,
                                  password_of(newest_.settings, newest_.dhcp));
  }
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
  void site_profile_result(json::Object message) override {
    shared_.requests.profile_result(json::to_text(message));
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
        Driver(session, shared_.waits).run();
      } catch (const std::exception& mistake) {
        spdlog::error("main connection: {}; it begins anew", mistake.what());
        shared_.board.enter(State::Idle);
        const TimePoint again = Clock::now() + kAfterMistake;
        while (!shared_.interrupts.stopping() && Clock::now() < again) shared_.interrupts.waker().wait({}, again);
      }
    }
  }

  struct Newest {
    config::Settings settings;
    std::optional<DhcpOffer> dhcp;
  };

  mutable std::mutex mutex_;  // guards newest_
  Newest newest_;             // as the main thread told it, for proofs; the connection thread has its own
  Shared shared_;
  const DeviceKey key_;  // read by any thread
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<MainConnection>> MainConnection::make(config::Settings settings, Identity identity,
                                                             Observer& observer) {
  return make(std::move(settings), std::move(identity), observer, Limits{});
}

Result<std::unique_ptr<MainConnection>> MainConnection::make(config::Settings settings, Identity identity,
                                                             Observer& observer, Limits limits) {
  if (settings.servers.empty() && !settings.dhcp.enabled)
    return Error{"bad_request", "cloud.server: no server is configured, and cloud.dhcp is off"};
  if (const Status made = make_folder(identity.state_dir); !made) return made.error();
  auto key = DeviceKey::load_or_make(identity.state_dir / "device.key");
  if (!key) return key.error();
  spdlog::info("device key {}", key->thumbprint());
  return std::unique_ptr<MainConnection>(
      new Running(std::move(settings), std::move(identity), std::move(*key), observer, limits));
}

}  // namespace hawser::connection
