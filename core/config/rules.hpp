#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "core/config/toml_reader.hpp"

// Descriptors: what keys a table may have and what each value must be. walk() holds a tree against them, writes good
// values to where the rules point, and adds a fault for every bad one. Any thread.
namespace hawser::config {

// Looks at the value of `key` (written with its tables, "cloud.ping.interval").
using Rule = std::function<void(const Node& value, const std::string& key, Faults& faults)>;

struct Field {
  std::string name;
  Rule rule;
};
using Fields = std::vector<Field>;

// What a text must be, "a name of 1 to 64 letters", when it is not that; empty when it is.
using Check = std::function<std::string(const std::string& text)>;

// Every member of `table` against its field. An unknown key is a fault that suggests the nearest known one.
void walk(const Node& table, const std::string& prefix, const Fields& fields, Faults& faults);

Rule text(std::string& into, Check check = {});
Rule secret(std::string& into);  // a text that no fault shows
Rule choice(std::string& into, std::vector<std::string> choices);
Rule boolean(bool& into);
// Both ends included. T: an integer type.
template <typename T>
Rule integer(T& into, T least, T most);
// "90s", "5m", "2h", or a whole number of seconds; both ends included. T: std::chrono::seconds or finer.
template <typename T>
Rule duration(T& into, std::chrono::seconds least, std::chrono::seconds most);
enum class Twice { Refused, Allowed };
Rule texts(std::vector<std::string>& into, std::size_t most, Check check = {}, Twice twice = Twice::Refused);
Rule integers(std::vector<std::int64_t>& into, std::size_t most, std::int64_t least, std::int64_t greatest);
Rule table(Fields fields);
// An array of tables; `each` is called with every one of them.
Rule tables(Rule each);
// A table whose names the operator chooses: `each` is called with every value and "key.name".
Rule named_tables(Check name, Rule each);

std::string show(const Node& value);  // as a fault shows it
// The texts of faults.
std::string wrong(const Node& value, const std::string& wanted);  // "is 0, must be <wanted>"

std::string nearest(const std::string& name, const std::vector<std::string>& known);  // empty when none is near

Rule whole_number(std::function<void(std::int64_t)> into, std::int64_t least, std::int64_t most);
Rule whole_seconds(std::function<void(std::chrono::seconds)> into, std::chrono::seconds least,
                   std::chrono::seconds most);

template <typename T>
Rule integer(T& into, T least, T most) {
  return whole_number([&into](std::int64_t number) { into = static_cast<T>(number); }, least, most);
}

template <typename T>
Rule duration(T& into, std::chrono::seconds least, std::chrono::seconds most) {
  return whole_seconds([&into](std::chrono::seconds time) { into = time; }, least, most);
}

}  // namespace hawser::config
