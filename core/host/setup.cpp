#include "core/host/setup.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "core/base/files.hpp"

namespace hawser::host {
namespace {
constexpr std::size_t kPathBytesMax = 4096;
constexpr std::size_t kCaFileBytesMax = 4 * 1024 * 1024;  // all authorities of the web are 250 KB
constexpr std::size_t kServicesMax = 64;                  // sdk/protocol.md §3

// null, or absent: none.
Result<Proxy> read_proxy(const json::Object& message) {
  Proxy proxy;
  const auto object = json::object_member(message, "proxy");
  if (!object) return proxy;
  auto host = json::text_member(*object, "host", 1, 255);
  if (!host) return host.error();
  const auto port = json::integer_member(*object, "port", 1, 65535);
  if (!port) return port.error();
  proxy.host = std::move(*host);
  proxy.port = static_cast<std::uint16_t>(*port);
  proxy.user = json::text_or(*object, "user");
  proxy.password = json::text_or(*object, "password");
  if (auto exempt = json::texts_member(*object, "no_proxy")) proxy.no_proxy = std::move(*exempt);
  return proxy;
}

}  // namespace

Result<Setup> read_setup(const json::Object& message) {
  Setup setup;
  for (const auto& [name, target] : {std::pair{"plugin", &setup.plugin}, std::pair{"version", &setup.version}}) {
    auto text = json::text_member(message, name);
    if (!text) return text.error().with_context("setup");
    *target = std::move(*text);
  }
  for (const auto& [name, target] : {std::pair{"library", &setup.library}, std::pair{"state_dir", &setup.state_dir}}) {
    auto text = json::text_member(message, name, 1, kPathBytesMax);
    if (!text) return text.error().with_context("setup");
    *target = std::move(*text);
  }
  setup.digest = json::text_or(message, "digest");
  setup.serial = json::text_or(message, "serial");
  setup.hostname = json::text_or(message, "hostname");
  setup.site = json::text_or(message, "site");
  setup.ca_file = json::text_or(message, "ca_file");
  setup.validity_floor->raise(std::chrono::seconds(json::integer_or(message, "validity_floor", 0)));
  auto proxy = read_proxy(message);
  if (!proxy) return proxy.error().with_context("setup: proxy");
  setup.proxy = std::move(*proxy);
  if (const auto object = json::object_member(message, "confinement")) {
    auto confinement = control::read_confinement(*object);
    if (!confinement) return confinement.error().with_context("setup: confinement");
    setup.confinement = std::move(*confinement);
  }
  auto config = json::object_member(message, "config");
  setup.config = config ? json::to_text(*config) : "{}";
  if (const auto spool = json::object_member(message, "spool")) {
    setup.spool_bytes =
        static_cast<std::size_t>(json::integer_or(*spool, "bytes", static_cast<std::int64_t>(setup.spool_bytes)));
    setup.spool_relaxed = json::text_or(*spool, "mode") == "relaxed";
  }
  setup.probation = json::bool_or(message, "probation", false);
  setup.takes_over = json::bool_or(message, "takes_over", true);
  setup.bytes_per_second = json::integer_or(message, "bytes_per_second", 0);
  auto actions = json::texts_member(message, "actions");
  if (actions) setup.actions.insert(actions->begin(), actions->end());
  const auto services = json::array_member(message, "services", kServicesMax);
  if (!services) return services.error().with_context("setup");
  for (std::size_t i = 0; i < (*services)->size(); ++i) {
    const auto row = json::object_at(*services, i);
    if (!row) return Error{"bad_payload", "setup: services holds something that is no object"};
    auto service = json::text_member(*row, "service");
    if (!service) return service.error().with_context("setup: services");
    auto protocols = json::texts_member(*row, "protocols");
    if (!protocols) return protocols.error().with_context("setup: services");
    setup.services[*service] = std::move(*protocols);
  }
  return setup;
}

void keep_ca_file(Setup& setup) {
  if (setup.ca_file.empty()) return;
  const auto content = read_file(setup.ca_file, kCaFileBytesMax);
  if (!content) return;
  const int memory = ::memfd_create("ca_file", MFD_CLOEXEC);  // open as long as the process lives
  if (memory < 0) return;
  if (::write(memory, content->data(), content->size()) != static_cast<ssize_t>(content->size())) {
    ::close(memory);
    return;
  }
  setup.ca_file = "/proc/self/fd/" + std::to_string(memory);
}

}  // namespace hawser::host
