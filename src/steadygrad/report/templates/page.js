"use strict";
// The page's own buttons. Figures are Bokeh's; their axes of steps are the ranges whose names begin with "steps-".
(() => {
  const plots = () => Bokeh.documents.flatMap((each) => each.roots());
  const axes = () => [...new Set(plots().map((plot) => plot.x_range))];

  function show(step) {
    for (const axis of axes()) {
      const [low, high] = axis.bounds;
      const reach = Math.min(Math.max(20, 0.02 * (high - low)), (high - low) / 2);
      const start = Math.min(Math.max(low, step - reach), high - 2 * reach);
      axis.setv({start, end: start + 2 * reach});
    }
    document.querySelector("section.figures").scrollIntoView({behavior: "smooth", block: "start"});
  }

  function showAll() {
    for (const axis of axes()) axis.setv({start: axis.bounds[0], end: axis.bounds[1]});
    for (const plot of plots()) plot.reset.emit();
  }

  function drag(name) {
    for (const plot of plots()) {
      const tools = plot.toolbar.tools.filter((tool) => ["PanTool", "BoxZoomTool"].includes(tool.type));
      for (const tool of tools) tool.active = false;
      // A map brings a second box zoom, for both directions; it comes last.
      const wanted = tools.filter((tool) => (tool.type == "PanTool") == (name == "pan")).at(-1);
      if (wanted) wanted.active = true;
    }
    for (const button of document.querySelectorAll("[aria-pressed]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool == name));
    }
  }

  document.addEventListener("click", (event) => {
    const {step, tool} = event.target.closest("button")?.dataset ?? {};
    if (step != null) show(Number(step));
    else if (tool == "reset") showAll();
    else if (tool != null) drag(tool);
  });

  // Figures are drawn on canvas, which no style sheet reaches: their text takes its colour from the page.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function paint() {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--soft").trim();
    const alarm = style.getPropertyValue("--alarm").trim();
    for (const plot of plots()) {
      for (const label of plot.center.filter((each) => each.name == "flag")) label.text_color = alarm;
      for (const axis of [...plot.below, ...plot.left]) axis.major_label_text_color = ink;
    }
  }
  dark.addEventListener("change", paint);
  let tries = 0;
  const timer = setInterval(() => {
    const wanted = document.querySelectorAll(".plot").length;
    if (wanted == 0 || (typeof Bokeh != "undefined" && plots().length >= wanted)) {
      clearInterval(timer);
      if (wanted) paint();
      document.documentElement.dataset.ready = "yes";
    } else if (++tries > 600) clearInterval(timer);
  }, 50);
})();
