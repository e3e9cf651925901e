#include "core/config/rules.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "core/base/encoding.hpp"

namespace hawser::config {
namespace {

using Kind = Node::Kind;

std::string in_words(std::chrono::seconds time) { return "\"" + std::to_string(time.count()) + "s\""; }

// Digits and a unit; nothing when it is not that, or beyond what any range allows.
std::optional<std::chrono::seconds> parse_duration(const std::string& text) {
  constexpr std::int64_t kMost = 1'000'000'000;
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || number < 0 || number > kMost || end - unit != 1) return std::nullopt;
  switch (*unit) {
    case 's':
      return std::chrono::seconds(number);
    case 'm':
      return std::chrono::minutes(number);
    case 'h':
      return std::chrono::hours(number);
    default:
      return std::nullopt;
  }
}

std::size_t distance(const std::string& a, const std::string& b) {  // Levenshtein's
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
    }
  }
  return row[b.size()];
}

void unknown_key(const Member& member, const std::string& key, const Fields& fields, Faults& faults) {
  std::vector<std::string> known;
  for (const Field& field : fields) known.push_back(field.name);
  if (const auto near = nearest(member.name, known); !near.empty()) {
    faults.add(member.place, key, "is not a known key; did you mean " + near + "?");
    return;
  }
  std::string list;
  for (const auto& name : known) list += (list.empty() ? "" : ", ") + name;
  faults.add(member.place, key, "is not a known key; known here: " + list);
}

bool is_text(const Node& value, const std::string& key, Faults& faults) {
  if (value.kind == Kind::Text) return true;
  faults.add(value.place, key, wrong(value, "a string"));
  return false;
}

}  // namespace

std::string show(const Node& value) {
  switch (value.kind) {
    case Kind::Text:
      return "\"" + printable(value.text, 80) + "\"";
    case Kind::Integer:
      return std::to_string(value.integer);
    case Kind::Float: {
      char digits[32];
      const auto end = std::to_chars(digits, digits + sizeof digits, value.number).ptr;
      const std::string text(digits, end);
      return text.find_first_not_of("-0123456789") == text.npos ? text + ".0" : text;
    }
    case Kind::Boolean:
      return value.truth ? "true" : "false";
    case Kind::DateTime:
      return "a date or time";
    case Kind::Array:
      return "an array";
    case Kind::Table:
      return "a table";
  }
  return "";
}

std::string wrong(const Node& value, const std::string& wanted) { return "is " + show(value) + ", must be " + wanted; }

std::string nearest(const std::string& name, const std::vector<std::string>& known) {
  constexpr std::size_t kNameMax = 64;  // what is longer is no slip of the finger
  if (name.size() > kNameMax) return "";
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, name.size() / 3) + 1;
  for (const auto& candidate : known) {
    const std::size_t d = distance(name, candidate);
    if (d < best_distance) best_distance = d, best = candidate;
  }
  return best;
}

void walk(const Node& node, const std::string& prefix, const Fields& fields, Faults& faults) {
  for (const Member& member : node.members) {
    const std::string key = (prefix.empty() ? "" : prefix + ".") + printable(member.name, 64);
    const auto field =
        std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == member.name; });
    if (field == fields.end()) {
      unknown_key(member, key, fields, faults);
    } else {
      field->rule(member.node, key, faults);
    }
  }
}

Rule text(std::string& into, Check check) {
  return [&into, check = std::move(check)](const Node& value, const std::string& key, Faults& faults) {
    if (!is_text(value, key, faults)) return;
    const std::string wanted = check ? check(value.text) : "";
    if (wanted.empty()) {
      into = value.text;
    } else {
      faults.add(value.place, key, wrong(value, wanted));
    }
  };
}

Rule secret(std::string& into) {
  return [&into](const Node& value, const std::string& key, Faults& faults) {
    if (value.kind == Kind::Text) {
      into = value.text;
    } else {
      faults.add(value.place, key, "must be a string");
    }
  };
}

Rule choice(std::string& into, std::vector<std::string> choices) {
  std::string list;
  for (const auto& one : choices) list += (list.empty() ? "\"" : ", \"") + one + "\"";
  return text(into, [choices = std::move(choices), list](const std::string& value) {
    return std::find(choices.begin(), choices.end(), value) != choices.end() ? "" : "one of " + list;
  });
}

Rule boolean(bool& into) {
  return [&into](const Node& value, const std::string& key, Faults& faults) {
    if (value.kind == Kind::Boolean) {
      into = value.truth;
    } else {
      faults.add(value.place, key, wrong(value, "true or false"));
    }
  };
}

Rule whole_number(std::function<void(std::int64_t)> into, std::int64_t least, std::int64_t most) {
  return [=](const Node& value, const std::string& key, Faults& faults) {
    if (value.kind == Kind::Integer && value.integer >= least && value.integer <= most) return into(value.integer);
    faults.add(value.place, key,
               wrong(value, "a whole number from " + std::to_string(least) + " to " + std::to_string(most)));
  };
}

Rule whole_seconds(std::function<void(std::chrono::seconds)> into, std::chrono::seconds least,
                   std::chrono::seconds most) {
  return [=](const Node& value, const std::string& key, Faults& faults) {
    std::optional<std::chrono::seconds> time;
    if (value.kind == Kind::Text) time = parse_duration(value.text);
    if (value.kind == Kind::Integer) time = std::chrono::seconds(value.integer);
    if (time && *time >= least && *time <= most) return into(*time);
    const std::string range = "from " + in_words(least) + " to " + in_words(most);
    faults.add(value.place, key, wrong(value, time ? range : "a duration with its unit (s, m or h), " + range));
  };
}

Rule texts(std::vector<std::string>& into, std::size_t most, Check check, Twice twice) {
  return [&into, most, check = std::move(check), twice](const Node& value, const std::string& key, Faults& faults) {
    if (value.kind != Kind::Array) return faults.add(value.place, key, wrong(value, "an array of strings"));
    if (value.items.size() > most)
      return faults.add(
          value.place, key,
          "has " + std::to_string(value.items.size()) + " values, at most " + std::to_string(most) + " are allowed");
    std::vector<std::string> taken;
    for (const Node& item : value.items) {
      std::string one;
      const std::size_t before = faults.count();
      text(one, check)(item, key, faults);
      if (twice == Twice::Refused && faults.count() == before &&
          std::find(taken.begin(), taken.end(), one) != taken.end())
        faults.add(item.place, key, "names " + show(item) + " twice; remove one");
      taken.push_back(std::move(one));
    }
    into = std::move(taken);
  };
}

Rule integers(std::vector<std::int64_t>& into, std::size_t most, std::int64_t least, std::int64_t greatest) {
  return [=, &into](const Node& value, const std::string& key, Faults& faults) {
    if (value.kind != Kind::Array) return faults.add(value.place, key, wrong(value, "an array of whole numbers"));
    if (value.items.size() > most)
      faults.add(
          value.place, key,
          "has " + std::to_string(value.items.size()) + " values, at most " + std::to_string(most) + " are allowed");
    std::vector<std::int64_t> taken;
    const Rule each = whole_number([&taken](std::int64_t number) { taken.push_back(number); }, least, greatest);
    for (const Node& item : value.items) each(item, key, faults);
    into = std::move(taken);
  };
}

Rule table(Fields fields) {
  return [fields = std::move(fields)](const Node& value, const std::string& key, Faults& faults) {
    if (value.kind == Kind::Table) {
      walk(value, key, fields, faults);
    } else {
      faults.add(value.place, key, wrong(value, "a table, written as [" + key + "]"));
    }
  };
}

Rule tables(Rule each) {
  return [each = std::move(each)](const Node& value, const std::string& key, Faults& faults) {
    const std::string wanted = "an array of tables, each written as [[" + key + "]]";
    if (value.kind != Kind::Array) return faults.add(value.place, key, wrong(value, wanted));
    for (const Node& item : value.items) {
      if (item.kind == Kind::Table) {
        each(item, key, faults);
      } else {
        faults.add(item.place, key, wrong(item, wanted));
      }
    }
  };
}

Rule named_tables(Check name, Rule each) {
  return [=](const Node& value, const std::string& key, Faults& faults) {
    if (value.kind != Kind::Table)
      return faults.add(value.place, key, wrong(value, "tables, written as [" + key + ".<name>]"));
    for (const Member& member : value.members) {
      const std::string full = key + "." + printable(member.name, 64);
      if (const std::string wanted = name(member.name); !wanted.empty()) {
        faults.add(member.place, full, "is not a name that can be used, must be " + wanted);
      } else if (member.node.kind != Kind::Table) {
        faults.add(member.node.place, full, wrong(member.node, "a table, written as [" + full + "]"));
      } else {
        each(member.node, full, faults);
      }
    }
  };
}

}  // namespace hawser::config
