"""A page in a tab of a real browser, with everything the tab said or wanted."""


class Opened:
    """A report in a tab, with everything the tab said or wanted."""

    def __init__(self, tab, path):
        self.tab = tab
        self.troubles = []
        tab.on("console", lambda message: message.type in {"error", "warning"} and self.trouble(message.text))
        tab.on("pageerror", lambda error: self.trouble(str(error)))
        tab.on("dialog", lambda dialog: (self.trouble(f"dialog {dialog.message}"), dialog.dismiss()))
        tab.on("request", lambda request: self._request(request.url))
        tab.goto(path.as_uri())
        tab.wait_for_selector("html[data-ready]", state="attached", timeout=20_000)
        tab.wait_for_timeout(300)

    def trouble(self, text):
        self.troubles.append(text)

    def _request(self, url):
        if not url.startswith(("file:", "data:", "blob:")):
            self.trouble(f"request {url}")

    def ranges(self):
        """Start and end of the steps of every figure."""
        return self.tab.evaluate(
            "Bokeh.documents.flatMap(d => d.roots()).map(p => [p.x_range.id, p.x_range.start, p.x_range.end])"
        )

    def point(self, figure, step, height):
        """The pixel of a step, at a fraction of the height of a figure's frame."""
        return self.tab.evaluate(
            """([figure, step, height]) => {
                const plot = document.querySelector(`#${figure} .plot`)
                plot.scrollIntoView({block: "center", behavior: "instant"})
                const root = plot.querySelector("[data-root-id]").dataset.rootId
                const view = Object.values(Bokeh.index).find((each) => each.model.id == root)
                const {start, end} = view.model.x_range
                const {x, y} = plot.getBoundingClientRect()
                const frame = view.frame.bbox
                const across = (step - start) / (end - start)
                return [x + frame.left + across * frame.width, y + frame.top + height * frame.height]
            }""",
            [figure, step, height],
        )

    def tooltip(self, figure, step, height):
        """What a figure says under the mouse."""
        self.tab.mouse.move(0, 0)
        self.tab.mouse.move(*self.point(figure, step, height))
        self.tab.wait_for_timeout(250)
        return self.tab.evaluate(
            """() => {
                const found = []
                const walk = (node) => {
                    if (node.shadowRoot) walk(node.shadowRoot)
                    if (node.classList?.contains("bk-tooltip-content")) found.push(node.innerText)
                    for (const child of node.children) walk(child)
                }
                walk(document.body)
                return found.join(" ")
            }"""
        )
