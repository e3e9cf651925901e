#include "cloud/gateway/strict_json.hpp"

#include <vector>

namespace hawser::cloud {
namespace {

// Builds the document, and stops at the first breach.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Json root;
  std::string fault;

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(std::int64_t value) override {
    if (value < -kJsonIntegerMax) return stop("an integer is below -(2^53-1)");
    return add(value);
  }
  bool number_unsigned(std::uint64_t value) override {
    if (value > static_cast<std::uint64_t>(kJsonIntegerMax)) return stop("an integer is above 2^53-1");
    return add(static_cast<std::int64_t>(value));
  }
  bool number_float(double value, const std::string& digits) override {
    // An integer too large for 64 bits comes here as well.
    if (digits.find_first_of(".eE") == std::string::npos) return stop("an integer is above 2^53-1");
    return add(value);
  }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Json::binary_t&) override { return stop("binary"); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    if (open_.back()->contains(name)) return stop("a member stands twice");
    key_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t at, const std::string&, const Json::exception&) override {
    return stop("not JSON in UTF-8 (byte " + std::to_string(at) + ")");
  }

 private:
  bool stop(std::string why) {
    fault = std::move(why);
    return false;
  }
  Json* place(Json value) {
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }
  bool add(Json value) {
    if (open_.empty()) return stop("not an object");
    if (++values_ > kJsonValuesMax) return stop("more than 262144 values");
    place(std::move(value));
    return true;
  }
  bool open(Json value) {
    if (open_.empty() && !value.is_object()) return stop("not an object");
    if (open_.size() >= static_cast<std::size_t>(kJsonDepthMax)) return stop("nested deeper than 32");
    if (++values_ > kJsonValuesMax) return stop("more than 262144 values");
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  // Addresses stay valid: a parent does not grow while a child of it is open.
  std::vector<Json*> open_;
  std::string key_;
  std::size_t values_ = 0;
};

const Json& member(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) throw SchemaFault(std::string(name) + " is missing");
  return *found;
}

}  // namespace

Result<Json> parse_strict(std::string_view text) {
  Builder builder;
  if (!Json::sax_parse(text.begin(), text.end(), &builder))
    return Error{"bad_payload", builder.fault.empty() ? "not JSON" : builder.fault};
  return std::move(builder.root);
}

std::string text_of(const Json& object, const char* name, std::size_t least, std::size_t most) {
  const Json& value = member(object, name);
  if (!value.is_string()) throw SchemaFault(std::string(name) + " is not a string");
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() < least || text.size() > most)
    throw SchemaFault(std::string(name) + " is not " + std::to_string(least) + " to " + std::to_string(most) +
                      " bytes");
  return text;
}

std::int64_t integer_of(const Json& object, const char* name, std::int64_t least, std::int64_t most) {
  const Json& value = member(object, name);
  if (!value.is_number_integer()) throw SchemaFault(std::string(name) + " is not an integer");
  const auto number = value.get<std::int64_t>();
  if (number < least || number > most)
    throw SchemaFault(std::string(name) + " is not " + std::to_string(least) + " to " + std::to_string(most));
  return number;
}

bool bool_of(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_boolean()) throw SchemaFault(std::string(name) + " is not true or false");
  return value.get<bool>();
}

const Json& array_of(const Json& object, const char* name, std::size_t most) {
  const Json& value = member(object, name);
  if (!value.is_array()) throw SchemaFault(std::string(name) + " is not an array");
  if (value.size() > most)
    throw SchemaFault(std::string(name) + " has more than " + std::to_string(most) + " elements");
  return value;
}

std::string text_if_any(const Json& object, const char* name, std::size_t most) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? std::string() : text_of(object, name, 0, most);
}

}  // namespace hawser::cloud
