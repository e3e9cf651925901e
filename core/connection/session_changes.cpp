// What comes to a session from other threads, and what it tells of its list.
#include <spdlog/spdlog.h>

#include "core/connection/kept_waits.hpp"
#include "core/connection/session.hpp"

namespace hawser::connection {
namespace {

void join(Impact& whole, Impact part) {
  whole.begin_at_first |= part.begin_at_first;
  whole.authenticate_anew |= part.authenticate_anew;
  whole.dial_otherwise |= part.dial_otherwise;
  // What changes the server says more than what only registers anew.
  if (part.leave && (!whole.leave || whole.leave->code == "normal")) whole.leave = std::move(part.leave);
}

}  // namespace

void Session::follow_list() {
  roster_.follow(targets_of(shared_.settings, shared_.dhcp));
  shared_.waits.follow(roster_.keys());
}

std::string Session::current_key() const {
  return shared_.waits.has_servers() ? key_of(roster_.at(shared_.waits.server())->target) : "";
}

// The settings and the lease that count from now on.
Impact Session::apply(const std::optional<config::Settings>& settings, const std::optional<DhcpOffer>& dhcp,
                      const std::string& reason) {
  auto present = present_;
  if (!present && shared_.waits.has_servers()) present = roster_.at(shared_.waits.server())->target;
  const config::Settings& next = settings ? *settings : shared_.settings;
  const Impact impact = impact_of({shared_.settings, shared_.dhcp}, {next, dhcp}, present, reason);
  if (settings) shared_.settings = *settings;
  shared_.dhcp = dhcp;
  return impact;
}

std::optional<Impact> Session::adopt() {
  const auto change = shared_.requests.take_change();
  if (!change) return std::nullopt;
  const TimePoint now = Clock::now();
  Impact impact;
  const bool leased = change->dhcp && *change->dhcp != shared_.dhcp;
  if (change->settings) join(impact, apply(change->settings, shared_.dhcp, "server_changed_by_config"));
  if (leased) join(impact, apply(std::nullopt, *change->dhcp, "server_changed_by_dhcp"));
  if (change->settings || leased) {
    follow_list();
    if (impact.authenticate_anew) {
      roster_.forget_tokens();
      shared_.waits.credentials_changed();
    }
    if (impact.dial_otherwise) dialer_.reset();
    impact.begin_at_first ? shared_.waits.begin_at_first(now) : shared_.waits.hurry(now);
    spdlog::info("main connection: {} has changed, {} servers", leased ? "the lease" : "the configuration",
                 roster_.keys().size());
  }
  impact.resumed = change->resumed;
  impact.route = change->route;
  if (change->resumed) shared_.waits.resumed(now);
  if (change->route) shared_.waits.network_changed(now);
  show_servers();
  return impact;
}

void Session::show_servers() {
  const std::string current = present_ ? key_of(*present_) : current_key();
  auto servers = roster_.states(shared_.waits, current, Clock::now());
  if (servers == shared_.board.seen().servers) return;
  shared_.board.change([&](Snapshot& s) { s.servers = std::move(servers); });
}

void Session::show_wait(TimePoint due) {
  shared_.board.change([&](Snapshot& s) {
    s.next_attempt_at.reset();
    s.backoff = milliseconds(0);
    if (due == TimePoint::max()) {
      s.server_domain.clear();
      s.server_address.clear();
      s.authentication_port = s.connection_port = 0;
      s.failure = Error{"no_server", "no server is configured, and no DHCP lease names one"};
      return;
    }
    if (s.failure && s.failure->code == "no_server") s.failure.reset();
    s.next_attempt_at = due;
    s.backoff = std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(due - Clock::now()));
  });
  show_servers();
  keep_waits();
}

void Session::keep_waits() {
  auto kept = lasting(shared_.waits.memory());
  if (kept == shared_.kept_waits) return;
  shared_.kept_waits = std::move(kept);
  shared_.writer.write(shared_.identity.state_dir / "waits",
                       text_of(shared_.kept_waits, Moment::present(shared_.identity.boot_id)),
                       "how long the cloud asked us to wait is not kept over a restart");
}

void Session::refuse_unbindings() {
  for (const auto& asked : std::exchange(shared_.unbindings, {}))
    shared_.observer.on_unbind_result(asked.id, Error{"not_connected", "the device is not connected to its cloud"});
}

}  // namespace hawser::connection
