#include "core/daemon/link_table.hpp"

#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstring>

#include "core/base/encoding.hpp"

namespace hawser::daemon {
namespace {

constexpr unsigned kLinkFlags = IFF_UP | IFF_RUNNING | IFF_LOWER_UP;
constexpr unsigned kAddressFlags = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED;

using Attributes = std::map<int, std::string>;

// Of a message of the kernel's; yet lengths are checked as everywhere.
Attributes attributes_of(const char* at, std::size_t size) {
  Attributes all;
  while (size >= sizeof(rtattr)) {
    rtattr head{};
    std::memcpy(&head, at, sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > size) break;
    all[head.rta_type] = std::string(at + sizeof head, head.rta_len - sizeof head);
    const std::size_t step = std::min<std::size_t>(RTA_ALIGN(head.rta_len), size);
    at += step;
    size -= step;
  }
  return all;
}

template <typename Head>
bool read_head(Head& head, const char* message, std::size_t size) {
  if (size < sizeof head) return false;
  std::memcpy(&head, message, sizeof head);
  return true;
}

template <typename Head>
Attributes attributes_after(const Head&, const char* message, std::size_t size) {
  const std::size_t skip = NLMSG_ALIGN(sizeof(Head));
  return size > skip ? attributes_of(message + skip, size - skip) : Attributes{};
}

template <typename Map, typename Key>
bool set_flags(Map& map, const Key& key, unsigned flags, bool gone) {
  const auto found = map.find(key);
  if (gone) return found != map.end() ? (map.erase(found), true) : false;
  if (found != map.end() && found->second == flags) return false;
  if (map.size() >= LinkTable::kKnownMax) map.clear();
  map[key] = flags;
  return true;
}

std::string with_index(int index, unsigned char family, const std::string& bytes) {
  return std::to_string(index) + "/" + std::to_string(family) + "/" + bytes;
}

}  // namespace

void LinkTable::forget() {
  links_.clear();
  addresses_.clear();
  routes_.clear();
}

bool LinkTable::take(std::span<const char> bytes, std::string& what, bool& done) {
  bool changed = false;
  while (bytes.size() >= sizeof(nlmsghdr)) {
    nlmsghdr head{};
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > bytes.size()) break;
    const char* body = bytes.data() + NLMSG_HDRLEN;
    const std::size_t size = head.nlmsg_len - NLMSG_HDRLEN;
    const auto type = head.nlmsg_type;
    if (type == NLMSG_DONE || type == NLMSG_ERROR) done = true;
    if (type == RTM_NEWLINK || type == RTM_DELLINK) changed |= take_link(body, size, type == RTM_DELLINK, what);
    if (type == RTM_NEWADDR || type == RTM_DELADDR) changed |= take_address(body, size, type == RTM_DELADDR, what);
    if (type == RTM_NEWROUTE || type == RTM_DELROUTE) changed |= take_route(body, size, type == RTM_DELROUTE, what);
    bytes = bytes.subspan(std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), bytes.size()));
  }
  return changed;
}

bool LinkTable::take_link(const char* message, std::size_t size, bool gone, std::string& what) {
  ifinfomsg link{};
  if (!read_head(link, message, size) || link.ifi_family != AF_UNSPEC) return false;  // bridges speak here, too
  if (!set_flags(links_, link.ifi_index, link.ifi_flags & kLinkFlags, gone)) return false;
  auto attributes = attributes_after(link, message, size);
  const std::string name = attributes[IFLA_IFNAME].c_str();
  const char* now = gone ? " is gone" : link.ifi_flags & IFF_RUNNING ? " is up" : " is down";
  what = "link " + printable(name.empty() ? std::to_string(link.ifi_index) : name, IFNAMSIZ) + now;
  return true;
}

bool LinkTable::take_address(const char* message, std::size_t size, bool gone, std::string& what) {
  ifaddrmsg address{};
  if (!read_head(address, message, size)) return false;
  auto attributes = attributes_after(address, message, size);
  const std::string& bytes = attributes.count(IFA_LOCAL) ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
  const std::string key = with_index(static_cast<int>(address.ifa_index), address.ifa_family, bytes);
  if (!set_flags(addresses_, key, address.ifa_flags & kAddressFlags, gone)) return false;
  what = std::string("an address ") + (gone ? "went" : "came or changed");
  return true;
}

bool LinkTable::take_route(const char* message, std::size_t size, bool gone, std::string& what) {
  rtmsg route{};
  if (!read_head(route, message, size)) return false;
  if ((route.rtm_flags & RTM_F_CLONED) || route.rtm_type == RTN_LOCAL || route.rtm_type == RTN_BROADCAST ||
      route.rtm_type == RTN_MULTICAST || route.rtm_type == RTN_ANYCAST)
    return false;  // these come with addresses
  auto attributes = attributes_after(route, message, size);
  std::string key = with_index(route.rtm_dst_len, route.rtm_family, attributes[RTA_DST]);
  for (const int part : {RTA_TABLE, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_MULTIPATH, RTA_PREFSRC})
    key += "/" + attributes[part];
  if (routes_.size() >= kKnownMax) routes_.clear();
  const bool news = gone ? routes_.erase(key) > 0 : routes_.insert(key).second;
  if (news) what = std::string(route.rtm_dst_len == 0 ? "the default route " : "a route ") + (gone ? "went" : "came");
  return news;
}

}  // namespace hawser::daemon
