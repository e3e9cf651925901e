#include "config_push.hpp"

#include <hawser/state_file.hpp>
#include <nlohmann/json.hpp>

#include "limits.hpp"

namespace hawser::config_push {

using Json = nlohmann::json;

sdk::ConfigAnswer ConfigPush::configure(std::string_view json, bool apply) {
  auto read = allowed_from_config(json);
  if (const auto* why = std::get_if<std::string>(&read)) return sdk::ConfigAnswer::refused(*why);
  if (apply) allowed_ = std::get<Allowed>(std::move(read));
  return sdk::ConfigAnswer::accepted();
}

void ConfigPush::start() {
  const auto folder = host_.fact("plugin.state_dir");
  if (!folder) throw sdk::Error(HWS_E_UNSUPPORTED, "this host gives no plugin.state_dir, so nothing could be put back");
  state_folder_ = *folder;
  incoming_.emplace(state_folder_);
  statuses_.emplace(host_, state_folder_);
  load_last();
  if (auto journal = load_journal()) {
    host_.warn("an unfinished revision was found", {{"revision", journal->revision}});
    new_job();
    job_->recover(std::move(*journal));
    return;  // job_finished() connects
  }
  connect();
  resume_collecting();
}

std::optional<Journal> ConfigPush::load_journal() const {
  const std::string path = state_folder_ + "/journal.json";
  try {
    return Journal::load(path);
  } catch (const std::exception& error) {
    throw sdk::Error(HWS_E_FAIL, path + " cannot be read (" + error.what() + "); the old files lie in " +
                                     state_folder_ +
                                     "/work as backup-N: put them back by hand, then remove the journal");
  }
}

void ConfigPush::connect() {
  if (cloud_) return;
  cloud_ = &host_.open("config_push", "hawser.config.v1",
                       {.durable = [this](const sdk::DurableMessage& message) { return from_cloud(message); },
                        .acked =
                            [this](std::uint64_t number) {
                              statuses_->acked(number);
                              if (job_) job_->acked();
                            },
                        .nacked =
                            [this](std::uint64_t, std::string_view code, std::string_view message) {
                              host_.warn("the cloud refused a status", {{"code", code}, {"message", message}});
                            },
                        .writable = [this] { statuses_->send_waiting(); },
                        .resumed = [this](std::uint64_t next_number) { statuses_->resumed(next_number); }});
  statuses_->use(*cloud_);
  host_.health(HWS_READY, allowed_.empty() ? "no paths are allowed, so every revision is rejected" : "");
}

// ---- what the cloud sends

sdk::Verdict ConfigPush::from_cloud(const sdk::DurableMessage& message) {
  const std::string_view payload = sdk::to_view(message.data);
  const MessageId id{std::string(message.stream), message.number};
  if (was_taken_before(id)) return sdk::Verdict::taken();
  if (payload.size() > kPartBytesMax) return sdk::Verdict::refused("too_big: a part has at most 16 MiB");
  const Json json = Json::parse(payload, nullptr, false);
  if (!json.is_object() || json.value("type", Json()) != "apply") {
    return sdk::Verdict::refused("unknown_command: this plugin knows \"apply\" only");
  }
  const auto read = read_part(payload, false);
  if (const auto* fault = std::get_if<Fault>(&read)) {
    if (fault->revision.empty()) return sdk::Verdict::refused("bad_payload: " + fault->detail);
    return reject(fault->revision, "bad_payload", fault->detail);
  }
  return take_part(std::get<Part>(read), id, payload);
}

bool ConfigPush::was_taken_before(const MessageId& id) const { return incoming_->has(id) || is_finished(id); }

bool ConfigPush::is_finished(const MessageId& id) const {
  return id.stream == last_.message.stream && id.number <= last_.message.number;
}

sdk::Verdict ConfigPush::take_part(const Part& part, const MessageId& id, std::string_view payload) {
  const Order& order = part.order;
  if (job_ && job_->over()) job_.reset();
  if (job_) return reject(order.revision, "busy", "revision " + job_->revision() + " has no final status yet");
  if (part.part == 1) {
    if (collecting_) give_up_collecting("revision " + order.revision + " was begun before all parts had come");
    incoming_->clear();
    collecting_ = order;
  } else if (!collecting_ || collecting_->revision != order.revision || part.part != incoming_->count() + 1) {
    return reject(order.revision, "parts_missing",
                  "part " + std::to_string(part.part) + " came without those before it");
  } else if (*collecting_ != order) {
    collecting_.reset();
    incoming_->clear();
    return reject(order.revision, "bad_payload",
                  "mode, confirm_timeout_s, reload and parts must be equal in every part");
  }
  incoming_->add(part.part, id, payload);
  host_.cancel(parts_timer_);
  if (part.part == order.parts) {
    last_part_is_there(false);
  } else {
    parts_timer_ =
        host_.after(kPartsTimeout, [this] { give_up_collecting("its other parts did not come in 10 minutes"); });
  }
  return sdk::Verdict::taken();
}

// A well-formed message is taken, and the refusal told by a status; of a revision's parts only the first says so.
sdk::Verdict ConfigPush::reject(const std::string& revision, std::string_view reason, std::string_view detail) {
  if (rejected_ != revision) statuses_->add({revision, "rejected", reason, detail, {}});
  rejected_ = revision;
  host_.cancel(rejected_timer_);  // one timer, however many are rejected
  rejected_timer_ = host_.after(kPartsTimeout, [this] { rejected_.clear(); });
  return sdk::Verdict::taken();
}

void ConfigPush::give_up_collecting(std::string_view detail) {
  host_.cancel(parts_timer_);
  statuses_->add({collecting_->revision, "failed", "parts_missing", detail, {}});
  collecting_.reset();
  incoming_->clear();
}

// Parts that the last instance took. A revision whose last part was among them has touched nothing yet: it goes on.
void ConfigPush::resume_collecting() {
  if (incoming_->count() == 0) return;
  const auto read = read_part(incoming_->payload(1), false);
  if (!std::holds_alternative<Part>(read) || is_finished(incoming_->last())) return incoming_->clear();
  collecting_ = std::get<Part>(read).order;
  if (incoming_->count() == collecting_->parts) return last_part_is_there(true);
  parts_timer_ =
      host_.after(kPartsTimeout, [this] { give_up_collecting("its other parts did not come in 10 minutes"); });
}

// ---- the job

void ConfigPush::new_job() {
  job_ = std::make_unique<Job>(
      host_, state_folder_, allowed_, *statuses_,
      [this](const std::string& revision, std::string_view state) { job_finished(revision, state); });
}

void ConfigPush::last_part_is_there(bool again) {
  const Order order = *collecting_;
  collecting_.reset();
  if (!order.check_only && order.revision == last_.revision && last_.state == "confirmed") {
    statuses_->add({order.revision, "confirmed", {}, "this revision was confirmed before; nothing was changed", {}});
    last_.message = incoming_->last();
    save_last();
    return incoming_->clear();
  }
  new_job();
  job_->begin(order, *incoming_, again);
}

void ConfigPush::job_finished(const std::string& revision, std::string_view state) {
  if (incoming_->count() != 0) last_.message = incoming_->last();
  if (state != "checked" && state != "rejected") {
    last_.revision = revision;
    last_.state = state;
  }
  try {
    save_last();
    incoming_->clear();
  } catch (const std::exception& error) {  // the worst that comes of it: the revision is done once more after a restart
    host_.warn("the end of a revision could not be noted", {{"error", error.what()}});
  }
  host_.post([this] {                   // not from within the job itself
    if (job_ && !job_->over()) return;  // the next one has begun
    job_.reset();
    if (cloud_) host_.health(HWS_READY);
    connect();
  });
}

void ConfigPush::load_last() {
  const auto text = sdk::read_file(state_folder_ + "/last.json", kStateFileBytesMax);
  if (!text) return;
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object()) return host_.warn("last.json is damaged and left out");
  last_ = {json.value("revision", ""), json.value("state", ""), {json.value("stream", ""), json.value("number", 0ull)}};
}

void ConfigPush::save_last() const {
  const Json json = {{"revision", last_.revision},
                     {"state", last_.state},
                     {"stream", last_.message.stream},
                     {"number", last_.message.number}};
  sdk::write_file_atomically(state_folder_ + "/last.json", json.dump());
}

}  // namespace hawser::config_push
