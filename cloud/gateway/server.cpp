// clang-format off
#include <utility>  // first: Boost 1.74's awaitable.hpp uses std::exchange without it
// clang-format on

#include "cloud/gateway/server.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "cloud/gateway/http_server.hpp"
#include "cloud/gateway/process.hpp"

namespace hawser::cloud {

namespace asio = boost::asio;
using boost::beast::error_code;

namespace {

constexpr auto kTick = std::chrono::seconds(1);
constexpr auto kStorePoll = std::chrono::milliseconds(200);
constexpr int kReturnAfterS = 1;
constexpr auto kLeaveFor = std::chrono::milliseconds(1200);
constexpr auto kDrainStep = std::chrono::milliseconds(20);

auto into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

bool same_limits(const Settings& a, const Settings& b) {
  return a.max_message_bytes == b.max_message_bytes && a.max_in_flight_messages == b.max_in_flight_messages &&
         a.max_in_flight_bytes == b.max_in_flight_bytes;
}

// Owned by run_server; one thread.
class Server {
 public:
  Server(Settings settings, Store& store, std::function<SettingsRead()> reread)
      : settings_(std::move(settings)),
        reread_(std::move(reread)),
        hub_(
            settings_, store, &Now::real, [this] { arm_commit(); },
            [this](DialOrder order, std::shared_ptr<Conversation> conversation) {
              return dial(std::move(order), std::move(conversation));
            }),
        http_(context_, settings_, hub_),
        commit_timer_(context_),
        signals_(context_, SIGTERM, SIGINT),
        reload_signal_(context_, SIGHUP) {
    http_.set_certificate(certificate_of(settings_));
  }

  int run() {
    // One more for each subconnection that is passed on.
    raise_descriptor_limit(settings_.connections * (settings_.microservices.empty() ? 1 : 2));
    settings_.authentication_port = http_.listen(settings_.authentication_port, true);
    settings_.connection_port = http_.listen(settings_.connection_port, false);
    spawn(every(kTick, [this] {
      hub_.tick();
      notify("WATCHDOG=1");
    }));
    spawn(every(kStorePoll, [this] { hub_.poll_store(); }));
    spawn(leave_on_signal());
    spawn(reload_on_signal());
    spdlog::info("listening: authentication port {}, connection port {}", settings_.authentication_port,
                 settings_.connection_port);
    notify("READY=1");
    context_.run();
    hub_.flush();
    return 0;
  }

 private:
  void spawn(asio::awaitable<void> coroutine) { cloud::spawn(context_, std::move(coroutine)); }

  template <typename Duration>
  asio::awaitable<void> every(Duration period, std::function<void()> task) {
    asio::steady_timer timer(context_);
    for (;;) {
      error_code error;
      timer.expires_after(period);
      co_await timer.async_wait(into(error));
      try {
        task();
      } catch (const std::exception& failure) {
        spdlog::error("periodic work: {}", failure.what());
      }
    }
  }

  using ToMicroservice = BeastPeer<boost::beast::tcp_stream>;

  std::shared_ptr<Peer> dial(DialOrder order, std::shared_ptr<Conversation> conversation) {
    auto peer = std::make_shared<ToMicroservice>(boost::beast::tcp_stream(context_), order.to.host);
    spawn(call(peer, std::move(order), std::move(conversation)));
    return peer;
  }

  // Holds the peer from before its first step.
  static asio::awaitable<void> call(std::shared_ptr<ToMicroservice> peer, DialOrder order,
                                    std::shared_ptr<Conversation> conversation) {
    co_await peer->call(std::move(order), std::move(conversation));
  }

  void arm_commit() {
    commit_timer_.expires_after(std::chrono::milliseconds(GroupCommit::kDelayMs));
    commit_timer_.async_wait([this](error_code cancelled) {
      if (!cancelled) hub_.flush();
    });
  }

  // Devices leave in a spread; who is left at the limit is closed; a second signal ends it at once.
  asio::awaitable<void> leave_on_signal() {
    error_code error;
    co_await signals_.async_wait(into(error));
    spdlog::info("going down: devices are asked to leave within {} s; again to go at once", settings_.drain_spread_s);
    notify("STOPPING=1");
    spawn(end_on_second_signal());
    hub_.drain(kReturnAfterS, settings_.drain_spread_s);
    co_await until_idle(std::chrono::seconds(settings_.drain_limit_s));
    hub_.close_all(1012, "restarting");
    co_await until_idle(kLeaveFor);
    spdlog::info("gone");
    context_.stop();
  }

  asio::awaitable<void> end_on_second_signal() {
    error_code error;
    co_await signals_.async_wait(into(error));
    if (error) co_return;
    spdlog::warn("a second signal: gone without waiting for devices");
    hub_.close_all(1012, "restarting");  // what was received is stored first
    context_.stop();
  }

  asio::awaitable<void> reload_on_signal() {
    for (;;) {
      error_code error;
      co_await reload_signal_.async_wait(into(error));
      if (error) co_return;
      notify_reloading();
      reload();
      notify("READY=1");
    }
  }

  // Everything but ports, address and database, which are open already. A configuration with faults changes nothing.
  void reload() {
    try {
      SettingsRead read = reread_();
      for (const std::string& fault : read.faults) spdlog::error("not reloaded: {}", fault);
      if (!read.faults.empty()) return;
      auto tls = certificate_of(read.settings);
      Settings& next = read.settings;
      if (next.listen != settings_.listen || next.database != settings_.database || !same_limits(next, settings_))
        spdlog::warn(
            "server.listen, server.database and the limits of messages and in flight take effect at the next start");
      next.authentication_port = settings_.authentication_port;
      next.connection_port = settings_.connection_port;
      next.listen = settings_.listen;
      next.database = settings_.database;
      // Devices were granted these, and would be ended for keeping to them.
      next.max_message_bytes = settings_.max_message_bytes;
      next.max_in_flight_messages = settings_.max_in_flight_messages;
      next.max_in_flight_bytes = settings_.max_in_flight_bytes;
      const bool others = next.microservices != settings_.microservices;
      settings_ = next;
      if (others) hub_.microservices_changed();
      http_.set_certificate(std::move(tls));
      spdlog::set_level(spdlog::level::from_str(settings_.log_level));
      spdlog::info("reloaded: the certificate, names, limits and spreads of the file are in force");
    } catch (const std::exception& error) {
      spdlog::error("not reloaded: {}", error.what());
    }
  }

  asio::awaitable<void> until_idle(std::chrono::milliseconds limit) {
    asio::steady_timer timer(context_);
    for (const auto end = std::chrono::steady_clock::now() + limit;
         !hub_.idle() && std::chrono::steady_clock::now() < end;) {
      error_code error;
      timer.expires_after(kDrainStep);
      co_await timer.async_wait(into(error));
      hub_.drain_step();
    }
  }

  Settings settings_;
  std::function<SettingsRead()> reread_;
  // Before the context: it is destroyed first, and with it the coroutines that stand on these.
  Hub hub_;
  HttpServer http_;
  asio::io_context context_{1};
  asio::steady_timer commit_timer_;
  asio::signal_set signals_, reload_signal_;
};

}  // namespace

int run_server(Settings settings, Store& store, std::function<SettingsRead()> reread) {
  try {
    return Server(std::move(settings), store, std::move(reread)).run();
  } catch (const std::exception& error) {
    spdlog::error("cannot serve: {}", error.what());
    return 1;
  }
}

}  // namespace hawser::cloud
