#include "cloud/api/settings.hpp"

#define TOML_HEADER_ONLY 1
#include <Poco/Exception.h>
#include <Poco/URI.h>
#include <arpa/inet.h>
#include <toml++/toml.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

// The one file that includes toml++.
namespace hawser::cloud {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;
const std::map<std::string, std::set<std::string>> kKeys = {
    {"server",
     {"names", "public_host", "listen", "authentication_port", "connection_port", "public_connection_port",
      "certificate_file", "key_file", "database", "log_level"}},
    {"fleet", {"reconnect_spread_s", "token_life_s", "grant_ping_s", "drain_spread_s", "drain_limit_s"}},
    {"limits",
     {"connections", "connections_per_address", "admissions_per_second", "max_message_bytes", "max_in_flight_messages",
      "max_in_flight_bytes"}},
    {"microservice", {"service", "protocol", "url", "key_file"}}};
const std::set<std::string> kOwnServices = {"config_push", "log_upload", "monitoring"};
constexpr std::size_t kMicroservicesMax = 64;
constexpr std::size_t kKeyBytesMax = 512;

// Lower case, digits and what else a name of that kind may hold.
bool is_name(const std::string& text, std::string_view more) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || more.find(static_cast<char>(c)) != more.npos;
  });
}

bool is_host(const std::string& text) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':';
  });
}

bool is_address(const std::string& text) {
  in6_addr ignored{};
  return ::inet_pton(AF_INET, text.c_str(), &ignored) == 1 || ::inet_pton(AF_INET6, text.c_str(), &ignored) == 1;
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& file) : file_(file) {}

  SettingsRead read() {
    auto text = read_file(file_, kFileBytesMax);
    if (!text) {
      fault(1, 1, "", text.error().message + "; make one with hawser-cloud init");
      return std::move(out_);
    }
    try {
      root_ = toml::parse(*text);
    } catch (const toml::parse_error& error) {
      fault(error.source().begin.line, error.source().begin.column, "", std::string(error.description()));
      return std::move(out_);
    }
    check_keys();
    read_server();
    read_numbers();
    read_microservices();
    return std::move(out_);
  }

 private:
  void fault(toml::source_index line, toml::source_index column, const std::string& key, const std::string& what) {
    out_.faults.push_back(file_.string() + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " +
                          (key.empty() ? "" : printable(key, 64) + ": ") + what);
  }
  void fault_at(const toml::node* node, const std::string& key, const std::string& what) {
    const auto at = node ? node->source().begin : toml::source_position{1, 1};
    fault(at.line, at.column, key, what);
  }

  static std::string listed(const std::set<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
  }

  void check_keys() {
    for (const auto& [section, node] : root_) {
      const std::string name(section.str());
      const auto known = kKeys.find(name);
      if (known == kKeys.end()) {
        fault(section.source().begin.line, section.source().begin.column, name,
              "is no section; there are server, fleet, limits, microservice");
        continue;
      }
      if (name == "microservice") {
        check_list(node, known->second);
      } else if (!node.is_table()) {
        fault_at(&node, name, "is no table; write [" + name + "]");
      } else {
        check_table(*node.as_table(), name, known->second);
      }
    }
  }

  void check_list(const toml::node& list, const std::set<std::string>& known) {
    const toml::array* tables = list.as_array();
    if (!tables || !tables->is_homogeneous<toml::table>())
      return fault_at(&list, "microservice", "is no list of tables; write [[microservice]] above each");
    if (tables->size() > kMicroservicesMax)
      fault_at(&list, "microservice", "are more than " + std::to_string(kMicroservicesMax));
    for (const toml::node& entry : *tables) check_table(*entry.as_table(), "microservice", known);
  }

  void check_table(const toml::table& table, const std::string& name, const std::set<std::string>& known) {
    for (const auto& [key, value] : table)
      if (!known.contains(std::string(key.str())))
        fault(key.source().begin.line, key.source().begin.column, name + "." + std::string(key.str()),
              "is no setting; there are " + listed(known));
  }

  const toml::node* node(const char* section, const char* key) const {
    const toml::table* table = root_[section].as_table();
    return table ? table->get(key) : nullptr;
  }

  std::string text(const char* section, const char* key, const std::string& fallback) {
    const toml::node* found = node(section, key);
    if (!found) return fallback;
    if (const auto* value = found->as_string()) return value->get();
    fault_at(found, std::string(section) + "." + key, "is not a string");
    return fallback;
  }

  void number(const char* section, const char* key, int& value, std::int64_t least, std::int64_t most) {
    const toml::node* found = node(section, key);
    if (!found) return;
    const auto* given = found->as_integer();
    if (given && given->get() >= least && given->get() <= most) {
      value = static_cast<int>(given->get());
    } else {
      fault_at(found, std::string(section) + "." + key,
               "is not a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    }
  }

  std::string path(const char* key, bool must_exist) {
    const std::string given = text("server", key, "");
    const toml::node* found = node("server", key);
    const std::string name = std::string("server.") + key;
    if (given.empty()) {
      fault_at(found ? found : root_.get("server"), name, "is missing; give a path");
      return given;
    }
    const auto full = file_.parent_path() / given;
    std::error_code ignored;
    if (must_exist && !std::filesystem::is_regular_file(full, ignored))
      fault_at(found, name, "there is no file " + full.string());
    return full.string();
  }

  void read_names() {
    const toml::node* found = node("server", "names");
    const toml::array* names = found ? found->as_array() : nullptr;
    if (!names || names->empty())
      return fault_at(
          found ? found : root_.get("server"), "server.names",
          "is missing; list every name and address that devices know this cloud by, as [\"cloud.example.com\"]");
    for (const toml::node& entry : *names) {
      const auto* name = entry.as_string();
      if (name && is_host(name->get())) {
        out_.settings.names.push_back(name->get());
      } else {
        fault_at(&entry, "server.names", "has an element that is no host name in lower case or address");
      }
    }
  }

  void read_server() {
    Settings& settings = out_.settings;
    read_names();
    settings.public_host = text("server", "public_host", "");
    if (!settings.public_host.empty() && !is_host(settings.public_host))
      fault_at(node("server", "public_host"), "server.public_host", "is no host name in lower case or address");
    settings.listen = text("server", "listen", settings.listen);
    settings.log_level = text("server", "log_level", settings.log_level);
    static const std::set<std::string> levels = {"trace", "debug", "info", "warn", "error"};
    if (!levels.contains(settings.log_level))
      fault_at(node("server", "log_level"), "server.log_level", "is none of " + listed(levels));
    settings.certificate_file = path("certificate_file", true);
    settings.key_file = path("key_file", true);
    settings.database = path("database", false);
    check_private(settings.key_file);
  }

  void check_private(const std::string& key_file) {
    std::error_code error;
    const auto mode = std::filesystem::status(key_file, error).permissions();
    if (!error && std::filesystem::exists(key_file, error) &&
        (mode & std::filesystem::perms::others_all) != std::filesystem::perms::none)
      fault_at(node("server", "key_file"), "server.key_file", key_file + " can be read by others; chmod 600 it");
  }

  void read_numbers() {
    Settings& s = out_.settings;
    number("server", "authentication_port", s.authentication_port, 0, 65535);
    number("server", "connection_port", s.connection_port, 0, 65535);
    number("server", "public_connection_port", s.public_connection_port, 0, 65535);
    number("fleet", "reconnect_spread_s", s.reconnect_spread_s, -1, 3600);
    number("fleet", "token_life_s", s.token_life_s, 4, 86'400);
    number("fleet", "grant_ping_s", s.grant_ping_s, 5, 600);
    number("fleet", "drain_spread_s", s.drain_spread_s, 0, 3600);
    number("fleet", "drain_limit_s", s.drain_limit_s, 0, 3600);
    if (s.drain_spread_s > s.drain_limit_s)
      fault_at(node("fleet", "drain_spread_s"), "fleet.drain_spread_s",
               "is longer than fleet.drain_limit_s, " + std::to_string(s.drain_limit_s) + ": raise that one too");
    number("limits", "admissions_per_second", s.admissions_per_second, 1, 100'000);
    number("limits", "connections", s.connections, 1, 1'000'000);
    number("limits", "connections_per_address", s.connections_per_address, 1, 1'000'000);
    number("limits", "max_message_bytes", s.max_message_bytes, 1024, 16 << 20);
    number("limits", "max_in_flight_messages", s.max_in_flight_messages, 1, 65'536);
    number("limits", "max_in_flight_bytes", s.max_in_flight_bytes, 1024, 64 << 20);
  }

  void read_microservices() {
    const toml::array* tables = root_["microservice"].as_array();
    if (!tables || !tables->is_homogeneous<toml::table>()) return;
    for (const toml::node& entry : *tables) read_microservice(*entry.as_table());
  }

  void read_microservice(const toml::table& table) {
    const auto given = [&](const char* key) { return table[key].value<std::string>().value_or(""); };
    const auto wrong = [&](const char* key, const std::string& what) {
      const toml::node* found = table.get(key);
      fault_at(found ? found : &table, std::string("microservice.") + key, what);
    };
    VendorMicroservice made;
    made.service = given("service");
    made.protocol = given("protocol");
    if (!is_name(made.service, "_"))
      wrong("service", "is no name of a service: 1 to 64 of a-z, 0-9 and _");
    else if (kOwnServices.contains(made.service))
      wrong("service", "\"" + made.service + "\" is the cloud's own; take another name");
    else if (std::any_of(out_.settings.microservices.begin(), out_.settings.microservices.end(),
                         [&](const auto& other) { return other.service == made.service; }))
      wrong("service", "\"" + made.service + "\" stands here twice; remove one");
    if (!is_name(made.protocol, "._-")) wrong("protocol", "is no subprotocol, such as \"acme.shell.v1\"");
    read_url(given("url"), made, wrong);
    if (table.contains("key_file")) made.key = read_key(given("key_file"), wrong);
    out_.settings.microservices.push_back(std::move(made));
  }

  template <typename Wrong>
  static void read_url(const std::string& text, VendorMicroservice& made, const Wrong& wrong) {
    try {
      const Poco::URI url(text);
      made.host = url.getHost() == "localhost" ? "127.0.0.1" : url.getHost();
      made.port = url.getPort();
      made.path = url.getPathEtc().empty() ? "/" : url.getPathEtc();
      if (url.getScheme() == "ws" && is_address(made.host) && url.getUserInfo().empty() && url.getFragment().empty())
        return;
    } catch (const Poco::Exception&) {
    }
    wrong("url", "is not of the form \"ws://127.0.0.1:9001/shell\", with an address in place of a name");
  }

  template <typename Wrong>
  std::string read_key(const std::string& name, const Wrong& wrong) const {
    const auto file = file_.parent_path() / name;
    auto key = read_file(file, kKeyBytesMax);
    if (!key) {
      wrong("key_file", key.error().message);
      return "";
    }
    while (!key->empty() && (key->back() == '\n' || key->back() == '\r')) key->pop_back();
    const bool good =
        key->size() >= 16 && std::all_of(key->begin(), key->end(), [](char c) { return c > ' ' && c < 127; });
    if (!good) wrong("key_file", file.string() + " does not hold one word of 16 or more printable characters");
    return *key;
  }

  std::filesystem::path file_;
  toml::table root_;
  SettingsRead out_;
};

}  // namespace

SettingsRead read_settings(const std::filesystem::path& file) { return Reader(file).read(); }

}  // namespace hawser::cloud
