#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <iostream>
#include <set>
#include <thread>

#include "cloud/api/commands.hpp"
#include "cloud/gateway/clock.hpp"
#include "cloud/gateway/strict_json.hpp"
#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

namespace hawser::cloud {
namespace {

constexpr std::size_t kFileBytesMax = 16 << 20;
constexpr auto kPoll = std::chrono::milliseconds(50);

int failed(const std::string& sentence) {
  std::cerr << "hawser-cloud: " << sentence << "\n";
  return 1;
}

struct PushedFile {
  Json head;  // path, mode, owner, group, sha256; or path, delete
  std::string content;
};

std::string owner_name(uid_t uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry ? entry->pw_name : std::to_string(uid);
}
std::string group_name(gid_t gid) {
  const group* entry = ::getgrgid(gid);
  return entry ? entry->gr_name : std::to_string(gid);
}

Result<PushedFile> read_pushed(const std::string& argument, const PushOptions& options) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string::npos || equals == 0 || argument[0] != '/')
    return Error{"bad_request", "\"" + printable(argument) + "\" is not /PATH/ON/DEVICE=LOCALFILE"};
  const std::string local = argument.substr(equals + 1);
  auto content = read_file(local, kFileBytesMax);
  if (!content) return content.error();
  struct stat facts {};
  if (::stat(local.c_str(), &facts) != 0) return Error{"bad_request", local + " vanished"};
  char mode[8];
  std::snprintf(mode, sizeof mode, "0%03o", static_cast<unsigned>(facts.st_mode & 07777));
  return PushedFile{{{"path", argument.substr(0, equals)},
                     {"mode", options.mode.empty() ? std::string(mode) : options.mode},
                     {"owner", options.owner.empty() ? owner_name(facts.st_uid) : options.owner},
                     {"group", options.group.empty() ? group_name(facts.st_gid) : options.group},
                     {"sha256", hex(sha256(*content))}},
                    std::move(*content)};
}

// The files cut into parts of at most `part_bytes` of content; a file goes on in the next part with "offset".
std::vector<Json> cut(const std::vector<PushedFile>& files, std::size_t part_bytes) {
  std::vector<Json> parts(1, Json::array());
  std::size_t room = part_bytes;
  const auto next_part = [&] {
    parts.push_back(Json::array());
    room = part_bytes;
  };
  for (const PushedFile& file : files) {
    if (file.head.contains("delete")) {
      parts.back().push_back(file.head);
      continue;
    }
    std::size_t offset = 0;
    do {
      if (room == 0) next_part();
      const std::string piece = file.content.substr(offset, room);
      Json entry = file.head;
      entry["content_b64"] = base64(piece);
      if (offset > 0) entry["offset"] = offset;
      parts.back().push_back(std::move(entry));
      offset += piece.size();
      room -= piece.size();
    } while (offset < file.content.size());
  }
  return parts;
}

std::vector<std::string> messages(const std::string& revision, const PushOptions& options,
                                  const std::vector<Json>& parts) {
  std::vector<std::string> texts;
  for (const Json& files : parts)
    texts.push_back(Json{{"type", "apply"},
                         {"revision", revision},
                         {"mode", options.check ? "check" : "apply"},
                         {"confirm_timeout_s", options.confirm_timeout_s},
                         {"part", texts.size() + 1},
                         {"parts", parts.size()},
                         {"files", files},
                         {"reload", options.reload}}
                        .dump());
  return texts;
}

void print_state(const RevisionRecord& record) {
  std::cout << record.state << (record.reason.empty() ? "" : ": " + printable(record.reason, 1024)) << "\n"
            << std::flush;
}

// Follows the states until one ends it. `applied` ends it unless --until confirmed was asked for.
int wait_for(Store& store, const PushOptions& options, const std::string& revision) {
  static const std::set<std::string> bad = {"rejected", "rolled_back", "failed", "drifted"};
  std::string seen;
  for (const auto end = Now::real().mono + options.wait_s * 1000LL; Now::real().mono < end;
       std::this_thread::sleep_for(kPoll)) {
    const auto record = store.revision(options.serial, revision);
    if (!record) return failed("the device was removed meanwhile");
    if (record->state == seen) continue;
    seen = record->state;
    print_state(*record);
    if (seen == "checked") return (std::cout << record->diff), 0;
    if (seen == "confirmed" || seen == options.until) return 0;
    if (bad.contains(seen)) return 1;
  }
  return failed("revision " + revision + " is " + seen + " after " + std::to_string(options.wait_s) + " s");
}

}  // namespace

int config_push(Store& store, const PushOptions& options) {
  if (auto refused = refuse_unknown(store, options.serial)) return *refused;
  std::vector<PushedFile> files;
  Json kept = Json::array();
  for (const std::string& argument : options.files) {
    auto file = read_pushed(argument, options);
    if (!file) return failed(file.error().message);
    kept.push_back(file->head);
    files.push_back(std::move(*file));
  }
  for (const std::string& path : options.deleted) {
    if (path.empty() || path[0] != '/') return failed("--delete takes an absolute path");
    files.push_back({{{"path", path}, {"delete", true}}, ""});
    kept.push_back(files.back().head);
  }
  if (files.empty()) return failed("nothing to push: name files as PATH=LOCALFILE, or --delete PATH");
  const Millis now = Now::real().wall;
  RevisionRecord record{random_uuid(), options.check ? "check" : "apply", "queued", "", "", kept.dump(), now, now};
  store.add_revision(options.serial, record);
  const auto texts = messages(record.revision, options, cut(files, options.part_bytes));
  if (auto queued = store.queue_outbound(options.serial, "config_push", texts); !queued)
    return failed(queued.error().message);
  std::cout << "revision " << record.revision << "\n" << std::flush;
  return options.wait_s > 0 ? wait_for(store, options, record.revision) : 0;
}

int config_show(Store& store, const std::string& serial, bool json) {
  if (auto refused = refuse_unknown(store, serial)) return *refused;
  Json list = Json::array();
  for (const RevisionRecord& record : store.revisions(serial)) {
    list.push_back({{"revision", record.revision},
                    {"mode", record.mode},
                    {"state", record.state},
                    {"reason", record.reason},
                    {"diff", record.diff},
                    {"files", Json::parse(record.files)},
                    {"created_at_ms", record.created_at},
                    {"changed_at_ms", record.changed_at}});
    if (!json)
      std::cout << printable(record.revision, 128) << "  " << record.mode << "  " << record.state << "  "
                << printable(record.reason, 256) << "\n";
  }
  if (json) std::cout << list.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
  return 0;
}

}  // namespace hawser::cloud
