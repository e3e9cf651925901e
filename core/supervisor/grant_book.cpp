#include "core/supervisor/grant_book.hpp"

namespace hawser::supervisor {

std::vector<std::string> GrantBook::replace(const std::vector<json::Object>& grants,
                                            const std::map<std::string, std::string>& refused, TimePoint now) {
  std::set<std::string> before;
  for (const auto& [service, held] : grants_) before.insert(service);
  for (const auto& [service, reason] : refused_) before.insert(service);
  grants_.clear();
  refused_ = refused;
  for (const auto& grant : grants) {
    const std::string service = json::text_or(grant, "service");
    grants_[service] = {grant, now, std::chrono::seconds(json::integer_or(grant, "expires_in", 0))};
    before.erase(service);
  }
  for (const auto& [service, reason] : refused_) before.erase(service);
  return {before.begin(), before.end()};
}

void GrantBook::use_up(const std::string& service) {
  if (const auto found = grants_.find(service); found != grants_.end()) found->second.life = {};
}

void GrantBook::forget(const std::string& service) {
  grants_.erase(service);
  refused_.erase(service);
}

void GrantBook::forget_all() {
  grants_.clear();
  refused_.clear();
}

json::Object GrantBook::grant(const std::string& service, TimePoint now) const {
  const auto found = grants_.find(service);
  if (found == grants_.end()) return nullptr;
  const auto& [grant, received, life] = found->second;
  const auto left = life - std::chrono::ceil<std::chrono::seconds>(now - received);
  if (left.count() <= 0) return nullptr;
  json::Object copy = new Poco::JSON::Object(*grant);  // ours stays as it was received
  copy->set("expires_in", static_cast<Poco::Int64>(left.count()));
  return copy;
}

std::optional<std::string> GrantBook::refusal(const std::string& service) const {
  const auto found = refused_.find(service);
  return found == refused_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace hawser::supervisor
