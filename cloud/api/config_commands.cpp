#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
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
constexpr std::size_t kRevisionBytesMax = 64 << 20;  // what a device takes
constexpr std::size_t kFilesMax = 512, kReloadsMax = 8;
constexpr std::size_t kEntryBytes = 64;  // "content_b64", "offset" and punctuation

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

bool is_mode(const std::string& text) {
  const std::size_t digits = text.size() == 4 && text[0] == '0' ? 1 : 0;
  return text.size() - digits == 3 && text.find_first_not_of("01234567") == std::string::npos;
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
  char local_mode[8];
  std::snprintf(local_mode, sizeof local_mode, "%04o", static_cast<unsigned>(facts.st_mode & 07777));
  const std::string mode = options.mode.empty() ? local_mode : options.mode;
  if (!is_mode(mode))
    return Error{"bad_request", (options.mode.empty() ? local + " has the mode " : "--mode ") + printable(mode, 16) +
                                    "; a pushed file takes three octal digits (0644), no set-user-id, set-group-id or"
                                    " sticky bit: give --mode"};
  return PushedFile{{{"path", argument.substr(0, equals)},
                     {"mode", mode},
                     {"owner", options.owner.empty() ? owner_name(facts.st_uid) : options.owner},
                     {"group", options.group.empty() ? group_name(facts.st_gid) : options.group},
                     {"sha256", hex(sha256(*content))}},
                    std::move(*content)};
}

// The files cut into parts of at most `part_bytes` before base64, what stands around the content included; a file goes
// on in the next part with "offset".
std::vector<Json> cut(const std::vector<PushedFile>& files, std::size_t part_bytes) {
  std::vector<Json> parts(1, Json::array());
  std::size_t room = part_bytes;
  const auto next_part = [&] {
    parts.push_back(Json::array());
    room = part_bytes;
  };
  for (const PushedFile& file : files) {
    const std::size_t head = file.head.dump(-1, ' ', true, Json::error_handler_t::replace).size() + kEntryBytes;
    std::size_t offset = 0;
    do {
      if (room <= head && !parts.back().empty()) next_part();
      room -= std::min(head, room - 1);
      if (file.head.contains("delete")) {
        parts.back().push_back(file.head);
        break;
      }
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
                        .dump(-1, ' ', false, Json::error_handler_t::replace));
  return texts;
}

std::string why_of(const RevisionRecord& record) {
  return printable(record.reason, 128) + (record.detail.empty() ? "" : ", " + printable(record.detail, 4096));
}

void print_state(const RevisionRecord& record) {
  std::cout << record.state << (record.reason.empty() && record.detail.empty() ? "" : ": " + why_of(record)) << "\n"
            << std::flush;
}

// Line by line, since a device may have put terminal sequences into it.
void print_diff(const std::string& diff) {
  for (std::size_t from = 0; from < diff.size();) {
    const std::size_t end = std::min(diff.find('\n', from), diff.size());
    for (std::size_t at = from; at < end;) {  // tabs stand in many a configuration file
      const std::size_t tab = std::min(diff.find('\t', at), end);
      std::cout << printable({diff.data() + at, tab - at}, tab - at) << (tab < end ? "\t" : "");
      at = tab + (tab < end ? 1 : 0);
    }
    std::cout << "\n";
    from = end + 1;
  }
}

// Follows the states until one ends it. `applied` ends it unless --until confirmed was asked for.
int wait_for(Store& store, const PushOptions& options, const std::string& revision) {
  static const std::set<std::string> bad = {"rejected", "rolled_back", "failed", "drifted"};
  std::string seen;
  for (const auto end = Now::real().mono + options.wait_s * 1000LL; Now::real().mono < end;
       std::this_thread::sleep_for(kStorePoll)) {
    const auto record = store.revision(options.serial, revision);
    if (!record) return failed("the device was removed meanwhile");
    if (record->state == seen) continue;
    seen = record->state;
    print_state(*record);
    if (seen == "checked") return print_diff(record->diff), 0;
    if (seen == "confirmed" || seen == options.until) return 0;
    if (bad.contains(seen)) return 1;
  }
  return failed("revision " + revision + " is " + seen + " after " + std::to_string(options.wait_s) + " s" +
                (seen == "queued" ? "; is the device connected? hawser-cloud device show " + options.serial + " tells"
                                  : "; hawser-cloud config show " + options.serial + " tells how it goes on"));
}

}  // namespace

int config_push(Store& store, const PushOptions& options) {
  if (auto refused = refuse_unknown(store, options.serial)) return *refused;
  std::vector<PushedFile> files;
  std::size_t bytes = 0;
  Json kept = Json::array();
  for (const std::string& argument : options.files) {
    auto file = read_pushed(argument, options);
    if (!file) return failed(file.error().message);
    kept.push_back(file->head);
    bytes += file->content.size();
    files.push_back(std::move(*file));
  }
  for (const std::string& path : options.deleted) {
    if (path.empty() || path[0] != '/') return failed("--delete takes an absolute path");
    files.push_back({{{"path", path}, {"delete", true}}, ""});
    kept.push_back(files.back().head);
  }
  if (files.empty()) return failed("nothing to push: name files as PATH=LOCALFILE, or --delete PATH");
  if (options.reload.size() > kReloadsMax) return failed("--reload: a revision has at most 8 actions");
  if (files.size() > kFilesMax || bytes > kRevisionBytesMax)
    return failed("a revision has at most 512 files and 64 MiB; push it in two");
  const Millis now = Now::real().wall;
  RevisionRecord record{random_uuid(),
                        options.check ? "check" : "apply",
                        "queued",
                        "",
                        "",
                        kept.dump(-1, ' ', false, Json::error_handler_t::replace),
                        "",
                        now,
                        now};
  const auto texts = messages(record.revision, options, cut(files, options.part_bytes));
  if (auto queued = store.push_revision(options.serial, record, texts); !queued) return failed(queued.error().message);
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
                    {"detail", record.detail},
                    {"diff", record.diff},
                    {"files", Json::parse(record.files)},
                    {"created_at_ms", record.created_at},
                    {"changed_at_ms", record.changed_at}});
    if (!json)
      std::cout << printable(record.revision, 128) << "  " << (record.mode.empty() ? "unknown here" : record.mode)
                << "  " << record.state << "  " << why_of(record) << "\n";
  }
  if (json) std::cout << for_terminal(list, 2) << "\n";
  return 0;
}

}  // namespace hawser::cloud
