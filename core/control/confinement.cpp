#include "core/control/confinement.hpp"

#include "core/base/encoding.hpp"

namespace hawser::control {
namespace {

constexpr std::size_t kPathsMax = 512;
constexpr std::size_t kPathBytesMax = 4096;
constexpr std::size_t kCapabilitiesMax = 16;
constexpr std::size_t kMissingMax = 32;
constexpr std::size_t kSentenceBytesMax = 512;
constexpr std::int64_t kIdMax = 4'294'967'294;  // 2^32-1 means nobody

Poco::Int64 number(std::uint64_t value) { return static_cast<Poco::Int64>(value); }

struct Limit {
  const char* name;
  std::uint64_t Confinement::*member;
};
constexpr Limit kLimits[] = {{"address_space_bytes", &Confinement::address_space_bytes},
                             {"file_bytes", &Confinement::file_bytes},
                             {"descriptors", &Confinement::descriptors},
                             {"threads", &Confinement::threads}};

Status read_paths(const json::Object& object, Confinement& confinement) {
  const auto paths = json::array_member(object, "paths", kPathsMax);
  if (!paths) return paths.error();
  for (std::size_t i = 0; i < paths.value()->size(); ++i) {
    const auto entry = json::object_at(*paths, i);
    if (!entry) return Error{"bad_payload", "paths holds something that is no object"};
    auto path = json::text_member(*entry, "path", 1, kPathBytesMax);
    if (!path) return path.error();
    if (path->front() != '/') return Error{"bad_payload", "paths holds one that is not absolute"};
    confinement.paths.push_back({std::move(*path), json::bool_or(*entry, "write", false)});
  }
  return ok();
}

}  // namespace

std::string Isolation::level() const {
  const bool host_side = own_uid && no_new_privs && seccomp && landlock_abi > 0;
  if (!host_side) return "reduced";
  return cgroup ? "full" : "rlimits";
}

json::Object to_json(const Confinement& confinement) {
  auto object = json::make_object();
  if (confinement.uid) object->set("uid", number(*confinement.uid));
  object->set("gid", number(confinement.gid));
  auto capabilities = json::make_array();
  for (const auto& name : confinement.capabilities) capabilities->add(name);
  object->set("capabilities", capabilities);
  auto paths = json::make_array();
  for (const PathRule& rule : confinement.paths) {
    auto entry = json::make_object();
    entry->set("path", rule.path);
    entry->set("write", rule.write);
    paths->add(entry);
  }
  object->set("paths", paths);
  object->set("may_execute", confinement.may_execute);
  object->set("may_listen", confinement.may_listen);
  for (const Limit& limit : kLimits) object->set(limit.name, number(confinement.*limit.member));
  object->set("network_namespace", confinement.network_namespace);
  return object;
}

Result<Confinement> read_confinement(const json::Object& object) {
  Confinement confinement;
  if (object->has("uid")) {
    const auto uid = json::integer_member(object, "uid", 1, kIdMax);
    if (!uid) return uid.error();
    confinement.uid = static_cast<uid_t>(*uid);
  }
  const auto gid = json::integer_member(object, "gid", 0, kIdMax);
  if (!gid) return gid.error();
  confinement.gid = static_cast<gid_t>(*gid);
  auto capabilities = json::texts_member(object, "capabilities", kCapabilitiesMax);
  if (!capabilities) return capabilities.error();
  confinement.capabilities = std::move(*capabilities);
  if (const auto status = read_paths(object, confinement); !status) return status.error();
  confinement.may_execute = json::bool_or(object, "may_execute", false);
  confinement.may_listen = json::bool_or(object, "may_listen", false);
  for (const Limit& limit : kLimits) {
    const auto value = json::integer_member(object, limit.name);
    if (!value) return value.error();
    confinement.*limit.member = static_cast<std::uint64_t>(*value);
  }
  confinement.network_namespace = json::text_or(object, "network_namespace");
  return confinement;
}

json::Object to_json(const Isolation& isolation) {
  auto object = json::make_object();
  object->set("own_uid", isolation.own_uid);
  object->set("no_new_privs", isolation.no_new_privs);
  object->set("seccomp", isolation.seccomp);
  object->set("landlock_abi", isolation.landlock_abi);
  object->set("cgroup", isolation.cgroup);
  auto missing = json::make_array();
  for (const auto& sentence : isolation.missing) missing->add(sentence);
  object->set("missing", missing);
  return object;
}

Result<Isolation> read_isolation(const json::Object& object) {
  Isolation isolation;
  for (const auto& [name, member] :
       {std::pair{"own_uid", &Isolation::own_uid}, std::pair{"no_new_privs", &Isolation::no_new_privs},
        std::pair{"seccomp", &Isolation::seccomp}}) {
    const auto value = json::bool_member(object, name);
    if (!value) return value.error();
    isolation.*member = *value;
  }
  const auto abi = json::integer_member(object, "landlock_abi", 0, 1000);
  if (!abi) return abi.error();
  isolation.landlock_abi = static_cast<int>(*abi);
  // Not the host's word: `cgroup` is left as it is.
  const auto missing = json::array_member(object, "missing", kMissingMax);
  if (!missing) return missing.error();
  for (const auto& sentence : *missing.value()) {
    if (!sentence.isString()) return Error{"bad_payload", "missing holds something that is no text"};
    isolation.missing.push_back(printable(sentence.convert<std::string>(), kSentenceBytesMax));
  }
  return isolation;
}

}  // namespace hawser::control
