#pragma once

#include <string>
#include <utility>
#include <variant>

namespace hawser {

// An expected failure. `code` is a reason of sdk/protocol.md §7 or, where none fits, one snake_case word;
// `message` is one clause that names what, where and what to do, ready to be shown.
struct Error {
  std::string code;
  std::string message;

  bool operator==(const Error&) const = default;

  // Puts the caller's view in front: "plugin acme.shell: manifest.json: id is missing".
  [[nodiscard]] Error with_context(const std::string& context) const { return {code, context + ": " + message}; }
};

// A value or an Error. Spelt like std::expected, so that moving to C++23 is one alias.
// value() and operator* of a failure, and error() of a success, throw std::bad_variant_access: a mistake of the caller.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::move(value)) {}
  Result(Error error) : content_(std::move(error)) {}

  bool has_value() const { return std::holds_alternative<T>(content_); }
  explicit operator bool() const { return has_value(); }

  T& value() & { return std::get<T>(content_); }
  const T& value() const& { return std::get<T>(content_); }
  T&& value() && { return std::get<T>(std::move(content_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const { return std::get<Error>(content_); }

 private:
  std::variant<T, Error> content_;
};

using Status = Result<std::monostate>;
inline Status ok() { return std::monostate{}; }

}  // namespace hawser
