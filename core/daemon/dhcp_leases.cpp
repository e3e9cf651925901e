#include "core/daemon/dhcp_leases.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/base/log.hpp"

namespace hawser::daemon {
namespace {

constexpr std::chrono::seconds kExpiryMax = std::chrono::hours(24);  // then it is looked at anew

std::string in_words(const connection::DhcpOffer& offer) {
  return offer.domain + " by the lease of " + offer.interface + (offer.password ? ", with a password" : "");
}

}  // namespace

DhcpLeases::DhcpLeases(Loop& loop, std::filesystem::path folder, config::Dhcp settings, OnOffer on_offer, Tell tell,
                       std::filesystem::path proc_net)
    : loop_(loop),
      folder_(std::move(folder)),
      proc_net_(std::move(proc_net)),
      settings_(std::move(settings)),
      on_offer_(std::move(on_offer)),
      tell_(std::move(tell)) {
  watch();
  look();
}

DhcpLeases::~DhcpLeases() {
  for (const auto timer : {gather_timer_, expiry_timer_, watch_timer_}) loop_.cancel(timer);
  if (inotify_) loop_.unwatch(inotify_.get());
}

void DhcpLeases::configure(config::Dhcp settings) {
  settings_ = std::move(settings);
  complained_.clear();
  look();
}

void DhcpLeases::watch() {
  watch_timer_ = 0;
  if (inotify_) loop_.unwatch(inotify_.get());
  const auto made = make_folder(folder_, 0755);
  std::error_code ignored;
  if (made) std::filesystem::permissions(folder_, std::filesystem::perms{0755}, ignored);  // whatever the umask is
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  const std::uint32_t what =
      IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  if (!inotify_ || ::inotify_add_watch(inotify_.get(), folder_.c_str(), what) < 0) {
    spdlog::warn("DHCP leases in {} are not noticed at once: {}", folder_.string(), std::strerror(errno));
    watch_timer_ = loop_.after(kWatchRetry, [this] {
      watch();
      look();
    });
    return inotify_.reset();
  }
  loop_.watch(inotify_.get(), POLLIN, [this](short) { on_change(); });
}

void DhcpLeases::on_change() {
  alignas(inotify_event) std::array<char, 16 * 1024> bytes;
  bool gone = false;
  for (ssize_t got = 0; (got = ::read(inotify_.get(), bytes.data(), bytes.size())) > 0;) {
    for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(got);) {
      inotify_event event{};
      std::memcpy(&event, bytes.data() + at, sizeof event);
      gone |= (event.mask & (IN_IGNORED | IN_MOVE_SELF)) != 0;
      at += sizeof event + event.len;
    }
  }
  if (gone && watch_timer_ == 0) {
    loop_.unwatch(inotify_.get());
    inotify_.reset();
    watch_timer_ = loop_.after(kWatchAgain, [this] {
      watch();
      look();
    });
  }
  look_soon();
}

void DhcpLeases::look_soon() {
  if (gather_timer_ != 0) return;
  gather_timer_ = loop_.after(kGather, [this] {
    gather_timer_ = 0;
    look();
  });
}

void DhcpLeases::complain(const std::string& interface, const std::string& sentence, const std::string& reason) {
  std::string& before = complained_[interface];
  if (before == sentence) return;
  before = sentence;
  spdlog::warn("the DHCP lease of {}: {}", interface, sentence);
  tell_({"dhcp", "", reason, interface + ": " + sentence});
}

std::optional<config::Lease> DhcpLeases::read_one(const std::filesystem::path& file) {
  const std::string interface = file.filename().string();
  const auto content = config::read_lease(file);
  if (!content) return complain(interface, content.error().message, "refused"), std::nullopt;
  const auto lease = config::parse_lease(*content, settings_);
  if (!lease) return complain(interface, lease.error().message, "refused"), std::nullopt;
  if (!*lease || (**lease).remarks.empty()) complained_.erase(interface);
  if (!*lease) return std::nullopt;
  for (const auto& remark : (**lease).remarks) complain(interface, remark, "refused");
  return *lease;
}

std::map<std::string, config::Lease> DhcpLeases::read() {
  std::map<std::string, config::Lease> leases;
  std::map<std::string, std::string> still;  // what was said about files that are there no more is forgotten
  for (const auto& file : config::lease_files(folder_, settings_)) {
    const std::string interface = file.filename().string();
    const auto lease = read_one(file);
    if (const auto said = complained_.find(interface); said != complained_.end()) still.insert(*said);
    if (lease && !config::is_over(*lease)) leases.emplace(interface, *lease);
  }
  complained_ = std::move(still);
  return leases;
}

void DhcpLeases::look() {
  if (!settings_.enabled) return loop_.cancel(expiry_timer_), offer(std::nullopt);
  const auto leases = read();
  set_expiry(leases);
  if (leases.empty()) return offer(std::nullopt);
  std::vector<std::string> interfaces;
  for (const auto& [interface, lease] : leases) interfaces.push_back(interface);
  // While no route is there the present choice stands: a renewal that sets its route anew changes nothing.
  const bool still = offered_ && leases.count(offered_->interface) > 0;
  const std::string otherwise = still ? offered_->interface : interfaces.front();
  const std::string best =
      interfaces.size() == 1 ? otherwise : config::best_default_route(interfaces, proc_net_).value_or(otherwise);
  const config::Lease& lease = leases.at(best);
  offer(connection::DhcpOffer{best, lease.domain, lease.password});
}

void DhcpLeases::offer(std::optional<connection::DhcpOffer> now) {
  if (now == offered_) return;
  const std::string words = now ? in_words(*now) : "no lease names the cloud any more";
  spdlog::info("DHCP: {}", words);
  tell_({"dhcp", "", now ? "lease" : "withdrawn", words});
  offered_ = now;
  on_offer_(std::move(now));
}

// A lease ends by the time that counts sleep, too; after a sleep look() comes by itself.
void DhcpLeases::set_expiry(const std::map<std::string, config::Lease>& leases) {
  loop_.cancel(expiry_timer_);
  std::optional<std::chrono::seconds> next;
  for (const auto& [interface, lease] : leases) {
    if (lease.expires_boot && (!next || *lease.expires_boot < *next)) next = lease.expires_boot;
  }
  if (!next) return;
  const auto left = std::min(*next - config::boot_time(), kExpiryMax);
  expiry_timer_ = loop_.after(std::max(left, std::chrono::seconds(1)), [this] { look(); });
}

}  // namespace hawser::daemon
