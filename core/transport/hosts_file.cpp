#include "core/transport/hosts_file.hpp"

#include <unistd.h>

#include <sstream>

#include "core/transport/answer_parser.hpp"
#include "core/transport/limits.hpp"

namespace hawser::transport {
namespace {
std::string path_of(const Egress& egress) { return egress.names_folder() + "/hosts"; }
}  // namespace

bool has_own_hosts(const Egress& egress) {
  return !egress.names_folder().empty() && ::access(path_of(egress).c_str(), F_OK) == 0;
}

Result<std::vector<Poco::Net::IPAddress>> from_own_hosts(const std::string& host, const Egress& egress) {
  const auto content = read_file(path_of(egress), kHostsBytesMax);
  if (!content) return Error{"dns_failed", host + ": " + content.error().message};
  const std::string wanted = lower(host);
  std::vector<Poco::Net::IPAddress> found;
  std::istringstream lines(*content);
  for (std::string line; std::getline(lines, line) && found.size() < kAddressesMax;) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string address, name;
    words >> address;
    Poco::Net::IPAddress parsed;
    if (!Poco::Net::IPAddress::tryParse(address, parsed)) continue;
    while (words >> name)
      if (lower(name) == wanted) {
        found.push_back(parsed);
        break;
      }
  }
  return found;
}

}  // namespace hawser::transport
