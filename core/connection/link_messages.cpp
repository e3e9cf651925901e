// What the cloud says on a main connection, one function for each message.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/connection/grants.hpp"
#include "core/connection/link.hpp"

namespace hawser::connection {
namespace {

constexpr std::int64_t kDrainMax = 3600;  // more counts as that

Status schema(const Error& error) { return Error{"policy", error.message}; }

}  // namespace

const std::vector<Link::Message>& Link::messages() {
  static const std::vector<Message> kMessages{{"keepalive_ack", &Link::keepalive_ack},
                                              {"subconnection_list", &Link::subconnection_list},
                                              {"subconnection_update", &Link::subconnection_update},
                                              {"subconnection_revoke", &Link::subconnection_revoke},
                                              {"report_ack", &Link::report_ack},
                                              {"command", &Link::command},
                                              {"site_profile", &Link::site_profile},
                                              {"drain", &Link::drain},
                                              {"unbind_result", &Link::unbind_result}};
  return kMessages;
}

void Link::on_text(std::string_view data) {
  if (leaving_) return;
  const auto message = json::parse_object(data);
  if (!message) return leave(Outcome::Lost, 1007, "bad_payload", {"bad_payload", message.error().message});
  const auto type = json::text_member(*message, "type");
  if (!type) return leave(Outcome::Lost, 1008, "policy", {"policy", type.error().message});
  const auto known =
      std::find_if(messages().begin(), messages().end(), [&](const Message& m) { return m.type == *type; });
  if (known == messages().end()) {
    // Counted, and told at powers of two, so that a flood of them does not flood the log.
    if (const auto n = ++unknown_types_; (n & (n - 1)) == 0)
      spdlog::info("main connection: message type \"{}\" is unknown and ignored ({} so far)", printable(*type, 64), n);
    return;
  }
  if (const Status handled = (this->*known->handler)(*message); !handled)
    leave(Outcome::Lost, 1008, "policy", handled.error().with_context(*type));
}

void Link::on_binary(std::string_view) {
  leave(Outcome::Lost, 1003, "not_text", {"not_text", "a binary message on the main connection"});
}

Status Link::keepalive_ack(const json::Object& message) {
  const auto seq = json::integer_member(message, "seq", 1);
  if (!seq) return schema(seq.error());
  keepalive_.acknowledged(*seq);
  if (*seq > keepalive_.seq()) return ok();  // never sent: any other is ignored
  std::vector<std::uint64_t> reached;
  for (const Reach& reach : shared_.reach) {
    if (reach.seq != 0 && reach.seq <= *seq) reached.push_back(reach.id);
  }
  std::erase_if(shared_.reach, [&](const Reach& reach) { return reach.seq != 0 && reach.seq <= *seq; });
  for (const auto id : reached) shared_.observer.on_reached(id, "keepalive_ack");
  return ok();
}

Status Link::subconnection_list(const json::Object& message) {
  const auto id = json::text_member(message, "id");
  if (!id) return schema(id.error());
  auto refused = read_refusals(message);
  if (!refused) return refused.error();
  // An answer to a list that is no longer ours says nothing about the present one, but must be well-formed.
  const bool ours = std::find(asked_ids_.begin(), asked_ids_.end(), *id) != asked_ids_.end();
  auto grants = read_grants(message, asked_offers_, ours ? Misfit::Fault : Misfit::Skip);
  if (!grants) return grants.error();
  if (!ours) return ok();
  answered_ = true;
  asked_ids_.clear();
  refused_ = *refused;
  tell_grants(std::move(*grants), std::move(*refused));
  return ok();
}

Status Link::subconnection_update(const json::Object& message) {
  auto grants = read_grants(message, asked_offers_, answered_ ? Misfit::Fault : Misfit::Skip);
  if (!grants) return grants.error();
  // An update names no refusals: who was refused and has no grant now is refused still.
  auto still = refused_;
  std::erase_if(still, [&](const Refusal& refusal) {
    return std::any_of(grants->begin(), grants->end(),
                       [&](const json::Object& g) { return json::text_or(g, "service") == refusal.service; });
  });
  tell_grants(std::move(*grants), std::move(still));
  return ok();
}

void Link::tell_grants(std::vector<json::Object> grants, std::vector<Refusal> refused) {
  spdlog::info("main connection: {} grants, {} refused", grants.size(), refused.size());
  for (json::Object& grant : grants) {
    grant->set("reconnect_spread_s", static_cast<Poco::Int64>(spread_.count()));
    grant->set("binding", binding_);
  }
  shared_.observer.on_grants(std::move(grants), std::move(refused));
}

Status Link::subconnection_revoke(const json::Object& message) {
  const auto service = json::text_member(message, "service", 1, 64);
  if (!service) return schema(service.error());
  if (!is_service_name(*service)) return Error{"policy", "member \"service\" must be of a-z 0-9 _"};
  const auto reason = json::text_member(message, "reason");
  if (!reason) return schema(reason.error());
  shared_.observer.on_revoked(*service, printable(*reason));
  return ok();
}

Status Link::report_ack(const json::Object& message) {
  const auto id = json::text_member(message, "id");
  if (!id) return schema(id.error());
  shared_.reports.acknowledged(*id);
  return ok();
}

Status Link::command(const json::Object& message) {
  const auto id = json::text_member(message, "id");
  if (!id) return schema(id.error());
  const auto name = json::text_member(message, "name");
  if (!name) return schema(name.error());
  const auto args = json::object_member(message, "args");
  if (!args) return schema(args.error());
  if (const auto kept = shared_.commands.kept(*id)) {
    // A small question with a large answer: where the cloud does not take them, it has to ask once more.
    if (socket_.writable()) socket_.send_text(*kept);
    return ok();
  }
  if (!shared_.commands.begin(*id)) return ok();
  spdlog::info("main connection: command {} ({})", printable(*name, 64), printable(*id, 64));
  if (*name == "reconnect") {
    if (const auto answer = shared_.commands.finish(*id, json::make_object())) socket_.send_text(*answer);
    leave(Outcome::Lost, 1000, "normal", {"normal", "the cloud asked us to connect anew"});
    return ok();
  }
  shared_.observer.on_command(*id, *name, *args);
  return ok();
}

Status Link::site_profile(const json::Object& message) {
  const auto id = json::text_member(message, "id");
  if (!id) return schema(id.error());
  auto profile = config::read_site_profile(message);
  if (!profile) return schema(profile.error());
  spdlog::info("main connection: site profile, revision {}", profile->revision);
  shared_.observer.on_site_profile(*id, std::move(*profile));
  return ok();
}

Status Link::drain(const json::Object& message) {
  const auto retry = json::integer_member(message, "retry_after_s", 0, json::kIntegerMax);
  if (!retry) return schema(retry.error());
  const auto spread = json::integer_member(message, "spread_s", 0, json::kIntegerMax);
  if (!spread) return schema(spread.error());
  const seconds leave_within(std::min(*spread, kDrainMax)), away(std::min(*retry, kDrainMax));
  drain_ = Drain{Clock::now() + random_between(0ms, leave_within), away};
  spdlog::info("main connection: the cloud drains; leaving within {} s, back no sooner than {} s later",
               leave_within.count(), away.count());
  return ok();
}

}  // namespace hawser::connection
