#include "core/trust/manifest.hpp"

#include <algorithm>
#include <set>

#include "core/base/encoding.hpp"
#include "core/base/json.hpp"

namespace hawser::trust {
namespace {

constexpr std::size_t kServicesMax = 16;
constexpr std::size_t kProtocolsMax = 8;
constexpr std::size_t kLimitsMax = 32;
constexpr std::size_t kPluginIdBytesMax = 128;
constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kProtocolBytesMax = 128;
constexpr std::size_t kPathBytesMax = 255;

Error wrong(const std::string& member, const std::string& what) {
  return {"manifest_refused", "manifest.json: " + member + " " + what};
}

bool is_small(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

// Letters, digits, dot, dash and underscore: what a WebSocket subprotocol may hold and a log line shows as it is.
bool is_protocol_name(std::string_view text) {
  return !text.empty() && text.size() <= kProtocolBytesMax && std::all_of(text.begin(), text.end(), [](char c) {
    return is_small(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '-';
  });
}

Status read_abi(const json::Object& object, Manifest& manifest) {
  const auto abi = json::object_member(object, "abi");
  if (!abi) return wrong("abi", "must be an object with major and minor");
  const auto major = json::integer_member(*abi, "major");
  if (!major) return wrong("abi.major", "must be a whole number");
  if (*major != kAbiMajor)
    return Error{"abi_refused", "manifest.json: abi.major is " + std::to_string(*major) + ", this agent knows only " +
                                    std::to_string(kAbiMajor) + "; install a build of the plugin for that"};
  const auto minor = json::integer_member(*abi, "minor", 0, 65535);
  if (!minor) return wrong("abi.minor", "must be a whole number from 0 to 65535");
  manifest.abi_minor = *minor;
  return ok();
}

Result<Service> read_service(const json::Object& object, const std::string& member) {
  Service service;
  const auto name = json::text_member(object, "service");
  if (!name || !is_service_name(*name))
    return wrong(member + ".service", "must be a name of 1 to 64 of a-z, 0-9 and _");
  service.name = *name;
  const auto protocols = json::texts_member(object, "protocols", kProtocolsMax);
  if (!protocols || protocols->empty() || !std::all_of(protocols->begin(), protocols->end(), is_protocol_name))
    return wrong(member + ".protocols", "must be a list of 1 to 8 protocol names, as in \"acme.shell.v1\"");
  service.protocols = *protocols;
  return service;
}

Status read_services(const json::Object& object, Manifest& manifest) {
  const auto services = json::array_member(object, "services", kServicesMax);
  if (!services || services.value()->size() == 0) return wrong("services", "must be a list of 1 to 16 services");
  std::set<std::string> names;
  for (std::size_t i = 0; i < services.value()->size(); ++i) {
    const std::string member = "services[" + std::to_string(i) + "]";
    const auto entry = json::object_at(*services, i);
    if (!entry) return wrong(member, "must be an object with service and protocols");
    auto service = read_service(*entry, member);
    if (!service) return service.error();
    if (!names.insert(service->name).second) return wrong(member + ".service", "stands there twice");
    manifest.services.push_back(std::move(*service));
  }
  return ok();
}

Status read_permissions(const json::Object& object, Manifest& manifest) {
  if (!object->has("permissions")) return ok();
  const auto permissions = json::texts_member(object, "permissions", config::kPermissionsMax);
  if (!permissions) return wrong("permissions", "must be a list of at most 64 texts");
  for (const auto& text : *permissions) {
    auto permission = config::read_permission(text);
    if (!permission) return wrong("permissions", "holds one that " + permission.error().message);
    manifest.permissions.push_back(std::move(*permission));
  }
  return ok();
}

// A name that is not known is a later manifest's.
Status read_limits(const json::Object& object, Manifest& manifest) {
  if (!object->has("limits")) return ok();
  const auto limits = json::object_member(object, "limits");
  if (!limits || limits.value()->size() > kLimitsMax) return wrong("limits", "must be an object of at most 32 numbers");
  for (const config::LimitRow& row : config::kLimitRows) {
    const std::string name(row.name);
    if (!limits.value()->has(name)) continue;
    const auto value = json::integer_member(*limits, name, row.least, row.most);
    if (!value)
      return wrong("limits." + name, "must be a whole number from " + std::to_string(row.least) + " to " +
                                         std::to_string(row.most) + ": " + std::string(row.what));
    manifest.limits.*row.member = *value;
  }
  return ok();
}

// Within the plugin's folder: no empty part, no "." and no "..", and nothing that a terminal would not show.
bool is_inner_path(std::string_view text) {
  return text.size() <= kPathBytesMax && text.find('\\') == text.npos && config::is_glob("/" + std::string(text)) &&
         text.find_first_of("*?[") == text.npos;
}

Status read_files(const json::Object& object, Manifest& manifest) {
  if (!object->has("files")) return ok();
  const auto files = json::object_member(object, "files");
  if (!files || files.value()->size() > kFilesMax)
    return wrong("files", "must be an object of at most " + std::to_string(kFilesMax) + " digests");
  for (const auto& path : files.value()->getNames()) {
    if (!is_inner_path(path))
      return wrong("files", "names \"" + printable(path, 80) + "\", which is no path within the plugin's folder");
    const auto digest = json::text_member(*files, path);
    if (!digest || !is_sha256(*digest))
      return wrong("files[\"" + path + "\"]", "must be the file's sha256, 64 of 0-9 and a-f");
    manifest.files[path] = *digest;
  }
  return ok();
}

}  // namespace

bool is_sha256(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_service_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax && std::all_of(text.begin(), text.end(), is_small);
}

bool is_plugin_id(std::string_view text) {
  if (text.size() > kPluginIdBytesMax || text.find('.') == std::string_view::npos) return false;
  char before = '.';
  for (const char c : text) {
    if (!is_small(c) && c != '.') return false;
    if (before == '.' && c == '.') return false;
    before = c;
  }
  return before != '.';
}

Result<Manifest> read_manifest(std::string_view text) {
  const auto object = json::parse_object(text);
  if (!object) return Error{"manifest_refused", "manifest.json: " + object.error().message};
  Manifest manifest;
  const auto id = json::text_member(*object, "id");
  if (!id || !is_plugin_id(*id))
    return wrong("id", "must be two or more words of a-z, 0-9 and _ joined by dots, as in \"acme.shell\"");
  manifest.id = *id;
  const auto version_text = json::text_member(*object, "version");
  if (!version_text) return wrong("version", "must be a text as in \"1.2.3\"");
  auto version = Version::parse(*version_text);
  if (!version) return wrong("version", version.error().message);
  manifest.version = std::move(*version);
  using Reader = Status (*)(const json::Object&, Manifest&);
  for (const Reader read :
       {Reader{read_abi}, Reader{read_services}, Reader{read_permissions}, Reader{read_limits}, Reader{read_files}}) {
    if (const auto status = read(*object, manifest); !status) return status.error();
  }
  return manifest;
}

}  // namespace hawser::trust
