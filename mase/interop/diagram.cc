#include "mase/interop/diagram.h"

#include <graphviz/cgraph.h>
#include <graphviz/gvc.h>

#include <cstddef>
#include <iterator>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

// The two parts of Graphviz that are used, linked in place of being found by its configuration.
extern "C" {
extern gvplugin_library_t gvplugin_core_LTX_library;
extern gvplugin_library_t gvplugin_dot_layout_LTX_library;
}

namespace mase {
namespace {

// Text in Graphviz's labels: its escapes, and lines that are centred.
std::string Label(const std::vector<std::string>& lines) {
  std::string label;
  for (const std::string& line : lines) {
    absl::StrAppend(&label, label.empty() ? "" : "\\n",
                    absl::StrReplaceAll(line, {{"\\", "\\\\"}}));
  }
  return label;
}

void Set(void* object, const char* name, const std::string& value) {
  // Graphviz takes text that it does not change as char*.
  agsafeset(object, const_cast<char*>(name), const_cast<char*>(value.c_str()),
            const_cast<char*>(""));
}

// A graph of Graphviz's, and the context that renders it.
class Drawing {
 public:
  explicit Drawing(const std::string& title) {
    static const lt_symlist_t parts[] = {
        {"gvplugin_core_LTX_library", &gvplugin_core_LTX_library},
        {"gvplugin_dot_layout_LTX_library", &gvplugin_dot_layout_LTX_library},
        {nullptr, nullptr}};
    context_ = gvContextPlugins(parts, /*demand_loading=*/0);
    graph_ = agopen(const_cast<char*>(title.c_str()), Agdirected, nullptr);
  }
  ~Drawing() {
    gvFreeLayout(context_, graph_);
    agclose(graph_);
    gvFreeContext(context_);
  }
  Drawing(const Drawing&) = delete;
  Drawing& operator=(const Drawing&) = delete;

  Agraph_t* graph() { return graph_; }

  // Browsers show a box's name where the pointer rests on it: its first line, or that with a number
  // where it is taken.
  Agnode_t* AddBox(const std::vector<std::string>& lines, const std::string& color) {
    const std::string first = lines.empty() ? "" : lines[0];
    std::string name = first;
    for (int i = 2; agnode(graph_, const_cast<char*>(name.c_str()), 0) != nullptr; ++i) {
      name = absl::StrCat(first, " ", i);
    }
    Agnode_t* box = agnode(graph_, const_cast<char*>(name.c_str()), 1);
    Set(box, "label", Label(lines));
    Set(box, "shape", "box");
    Set(box, "style", "rounded,filled");
    Set(box, "fillcolor", color);
    Set(box, "fontname", "Helvetica");
    Set(box, "fontsize", "11");
    Set(box, "margin", "0.12,0.06");
    Set(box, "height", "0.3");
    return box;
  }

  absl::StatusOr<std::string> Render() {
    char* data = nullptr;
    unsigned int length = 0;
    const bool done = gvLayout(context_, graph_, "dot") == 0 &&
                      gvRenderData(context_, graph_, "svg", &data, &length) == 0;
    if (!done || data == nullptr) {
      const char* error = aglasterr();
      return absl::InternalError(
          absl::StrCat("Graphviz cannot draw: ", error == nullptr ? "no reason given" : error));
    }
    std::string svg(data, length);
    gvFreeRenderData(data);
    return svg;
  }

 private:
  GVC_t* context_;
  Agraph_t* graph_;
};

}  // namespace

std::string DiagramColor(int index) {
  static constexpr const char* kColors[] = {"#cfe3f5", "#fde2b8", "#d5efcf", "#f8d0d5",
                                            "#e3d6f2", "#c9eeee", "#f6eeb0", "#f3cfe7",
                                            "#d9d9d9", "#ffd0b0", "#dbe8b4", "#c6d0f0"};
  return kColors[index % std::size(kColors)];
}

absl::StatusOr<std::string> DiagramAsSvg(const Diagram& diagram) {
  if (diagram.boxes.size() > kMaxDiagramBoxes) {
    return absl::ResourceExhaustedError(absl::StrCat("a diagram of ", diagram.boxes.size(),
                                                     " boxes, limit ", kMaxDiagramBoxes,
                                                     ": nobody could read it"));
  }
  // Graphviz keeps state of its own between calls.
  static std::mutex* const mutex = new std::mutex;
  const std::lock_guard<std::mutex> lock(*mutex);
  agseterr(AGMAX);  // Errors are kept for aglasterr and not printed.
  Drawing drawing(diagram.title);
  Set(drawing.graph(), "label", Label({diagram.title}));
  Set(drawing.graph(), "labelloc", "t");
  Set(drawing.graph(), "fontname", "Helvetica");
  Set(drawing.graph(), "fontsize", "14");
  Set(drawing.graph(), "nodesep", "0.3");
  Set(drawing.graph(), "ranksep", "0.3");
  std::vector<Agnode_t*> boxes;
  for (const Diagram::Box& box : diagram.boxes) {
    boxes.push_back(drawing.AddBox(box.lines, box.color));
  }
  for (size_t i = 0; i < diagram.arrows.size(); ++i) {
    const Diagram::Arrow& arrow = diagram.arrows[i];
    Agedge_t* edge = agedge(drawing.graph(), boxes[arrow.from], boxes[arrow.to],
                            const_cast<char*>(absl::StrCat("arrow", i).c_str()), 1);
    Set(edge, "arrowsize", "0.6");
    if (arrow.label.empty()) continue;
    Set(edge, "label", Label({arrow.label}));
    Set(edge, "fontname", "Helvetica");
    Set(edge, "fontsize", "9");
  }
  Agnode_t* above = nullptr;
  for (const auto& [text, color] : diagram.legend) {
    Agnode_t* box = drawing.AddBox({text}, color);
    Set(box, "style", "filled");
    if (above != nullptr) {
      Set(agedge(drawing.graph(), above, box, nullptr, 1), "style", "invis");
    }
    above = box;
  }
  return drawing.Render();
}

}  // namespace mase
