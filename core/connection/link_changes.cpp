// What changes for an established connection: its configuration, its network, its binding to the cloud.
#include <Poco/Net/IPAddress.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "core/base/encoding.hpp"
#include "core/connection/link.hpp"

namespace hawser::connection {
namespace {

// Why a cloud refuses a code, and what to do.
struct CodeRefusal {
  std::string_view error, words;
};
constexpr std::array kCodeRefusals{
    CodeRefusal{"code_wrong", "it is wrong; type it as the cloud shows it"},
    CodeRefusal{"code_expired", "it has expired; let the cloud make a new one"},
    CodeRefusal{"code_used", "it was used before; let the cloud make a new one"},
    CodeRefusal{"too_many_requests", "too many wrong ones were tried; try again in an hour"}};
constexpr std::string_view kReplacedBy = "replaced by ";

}  // namespace

void Link::follow_change(const Impact& impact) {
  if (leaving_) return;
  if (impact.resumed) {  // the cloud has given us up, or will; a Close would wait for an answer that cannot come
    leaving_ = Outcome::Lost;
    leaving_why_ = {"hang_up", "the device slept, and what it was connected to is gone"};
    abandoned_ = lost_locally_ = true;
    return;
  }
  if (impact.leave) return leave(Outcome::Changed, 1000, "normal", *impact.leave);
  if (impact.route) look(Clock::now());
}

// One at a time: a flood of changes makes one ping for each answer.
void Link::look(TimePoint now) {
  if (look_) {
    look_->again = true;
    return;
  }
  look_ = Look{random_uuid(), now + shared_.limits.look};
  socket_.ping(look_->payload);
}

void Link::on_pong(std::string_view payload) {
  if (!look_ || look_->payload != payload) return;
  const bool again = look_->again;
  look_.reset();
  if (again) look(Clock::now());
}

void Link::unbind(TimePoint now) {
  if (unbound_until_ && now >= *unbound_until_)
    return leave(Outcome::Removed, 1000, "normal", {"unbound", "the cloud let this device go, and did not close"});
  for (const auto& asked : std::exchange(shared_.unbindings, {})) {
    unbindings_.push_back({asked.id, random_uuid(), now + shared_.limits.unbind_answer});
    auto message = json::make_object();
    message->set("type", "unbind");
    message->set("id", unbindings_.back().message);
    message->set("code", asked.code);
    socket_.send_text(json::to_text(message));
  }
  const auto late = std::stable_partition(unbindings_.begin(), unbindings_.end(),
                                          [&](const Unbinding& unbinding) { return now < unbinding.limit; });
  std::vector<Unbinding> given_up(late, unbindings_.end());
  unbindings_.erase(late, unbindings_.end());
  for (const Unbinding& unbinding : given_up)
    shared_.observer.on_unbind_result(unbinding.id, Error{"timeout", "the cloud did not answer the code"});
}

Status Link::unbind_result(const json::Object& message) {
  const auto id = json::text_member(message, "id");
  if (!id) return Error{"policy", id.error().message};
  const auto done = json::bool_member(message, "ok");
  if (!done) return Error{"policy", done.error().message};
  const auto error = json::text_or(message, "error");
  const auto refusal = std::find_if(kCodeRefusals.begin(), kCodeRefusals.end(),
                                    [&](const CodeRefusal& known) { return known.error == error; });
  if (!*done && refusal == kCodeRefusals.end()) return Error{"policy", "member \"error\" is not one of the protocol's"};
  const auto asked = std::find_if(unbindings_.begin(), unbindings_.end(),
                                  [&](const Unbinding& unbinding) { return unbinding.message == *id; });
  if (asked == unbindings_.end()) return ok();  // given up, or never asked: nothing is let go without a request of ours
  const std::uint64_t caller = asked->id;
  unbindings_.erase(asked);
  if (*done) {
    let_go(caller);
  } else {
    shared_.observer.on_unbind_result(caller,
                                      Error{error, "the cloud refused the code: " + std::string(refusal->words)});
  }
  return ok();
}

// Nothing of the old binding may reach the next cloud; the device keeps its key.
void Link::let_go(std::uint64_t id) {
  spdlog::info("main connection: the cloud has let this device go");
  unbound_until_ = Clock::now() + kUnboundLimit;
  shared_.commands.clear();
  shared_.reports.clear();
  shared_.reach.clear();
  refused_.clear();
  std::erase_if(unbindings_, [&](const Unbinding& unbinding) { return unbinding.id == id; });
  shared_.observer.on_unbind_result(id, ok());
}

void Link::end_unbindings(const Error& why) {
  for (const Unbinding& unbinding : std::exchange(unbindings_, {}))
    shared_.observer.on_unbind_result(unbinding.id, why);
}

// The close's text is "replaced", or "replaced by <address>"; the event carries what is an address, and nothing else.
void Link::tell_twin(const std::string& close_reason) {
  Event twin{"twin", "", "replaced", ""};
  Poco::Net::IPAddress address;
  if (close_reason.starts_with(kReplacedBy) &&
      Poco::Net::IPAddress::tryParse(close_reason.substr(kReplacedBy.size()), address))
    twin.detail = std::string(kReplacedBy) + address.toString();
  shared_.tell(twin);
}

}  // namespace hawser::connection
