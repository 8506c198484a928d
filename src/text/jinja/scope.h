// Which variable a name means. jinja2 decides this before running: a frame (a template, a loop
// body, a macro ...) loads every outer name it uses when it is entered, and what it assigns stays
// inside. `if` opens no frame. This file reproduces those rules, surprises included.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "text/jinja/value.h"

namespace sinter::jinja {

struct Address {
  int hops = 0;  // frames outwards
  int slot = 0;
};

struct Load {
  enum class From { parameter, context, outer, nowhere };
  From from = From::nowhere;
  std::string name;  // context
  Address outer;     // hops counted from the frame that loads
};

struct FrameLayout {
  int slots = 0;
  bool captured = false;  // a macro is defined inside: the frame must live as long as it may
  std::vector<std::pair<int, Load>> loads;  // slot and where its value comes from
};

// A frame at run time.
struct Frame {
  Frame(const FrameLayout* frame_layout, Frame* parent_frame)
      : layout(frame_layout),
        parent(parent_frame),
        slots(static_cast<size_t>(frame_layout->slots)) {}
  Value& at(Address a) {
    Frame* f = this;
    for (int i = 0; i < a.hops; ++i) f = f->parent;
    return f->slots[static_cast<size_t>(a.slot)];
  }
  const FrameLayout* layout;
  Frame* parent;
  std::vector<Value> slots;
};

// The names of one frame while a template is being analysed.
class Symbols {
 public:
  explicit Symbols(const Symbols* parent)
      : parent_(parent), slots_(std::make_shared<std::map<std::string, int>>()) {}
  void load(const std::string& name);
  void store(const std::string& name);
  void parameter(const std::string& name);
  Symbols branch() const { return *this; }  // shares slots, not knowledge
  void merge(const std::vector<const Symbols*>& branches);

  Address address(const std::string& name) const;  // SINTER_CHECKs that it is known
  bool knows(const std::string& name) const { return find(name, 0).hops >= 0; }
  FrameLayout layout() const;
  void capture() const;  // marks this frame and all outer ones
  size_t size() const { return loads_.size(); }

 private:
  Address find(const std::string& name, int hops) const;  // hops < 0: unknown
  void define(const std::string& name, Load load);

  const Symbols* parent_;
  std::shared_ptr<std::map<std::string, int>> slots_;
  std::map<std::string, Load> loads_;
  std::set<std::string> stores_;
  std::shared_ptr<bool> captured_ = std::make_shared<bool>(false);
};

}  // namespace sinter::jinja
