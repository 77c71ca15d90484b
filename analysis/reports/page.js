"use strict"
// Names come from others: every text is set as text, nothing as HTML.

const SVG = "http://www.w3.org/2000/svg"
const NEAR = 40 // of the figure's points: farther from any value than that, the pointer asks for none

// Figures: the value nearest to the pointer, and with arrow keys from one value to the next.
for (const svg of document.querySelectorAll("figure svg[tabindex]")) {
  const box = svg.closest("figure")
  const tip = box.querySelector(".tip")
  const series = JSON.parse(svg.nextElementSibling.textContent)
  const points = series.flatMap((one, s) => one[2].map((value, i) => ({ s, i, x: value[0], y: value[1], value })))
  const ring = document.createElementNS(SVG, "circle")
  ring.setAttribute("class", "ring")
  ring.setAttribute("r", 7)
  let shown = null

  const hide = () => {
    shown = null
    ring.remove()
    tip.replaceChildren()
  }
  const show = (point) => {
    if (point === shown) return
    shown = point
    ring.setAttribute("cx", point.x)
    ring.setAttribute("cy", point.y)
    svg.append(ring)
    const [name, what] = series[point.s]
    const [, , at, text, also = []] = point.value
    const lines = [name, at, what ? `${what}: ${text}` : text, ...also].filter(Boolean)
    tip.replaceChildren(...lines.map((line) => Object.assign(document.createElement("span"), { textContent: line })))
    const frame = box.getBoundingClientRect()
    const drawn = svg.getBoundingClientRect()
    const scale = drawn.width / svg.viewBox.baseVal.width
    const left = drawn.left - frame.left + box.scrollLeft + point.x * scale
    if (left < box.scrollLeft || left > box.scrollLeft + frame.width) box.scrollLeft = left - frame.width / 2
    const right = left - box.scrollLeft > frame.width / 2
    const wide = tip.offsetWidth
    tip.style.left = `${Math.max(box.scrollLeft, right ? left - wide - 14 : left + 14)}px`
    tip.style.top = `${Math.max(0, drawn.top - frame.top + point.y * scale - tip.offsetHeight / 2)}px`
  }
  const nearest = (x, y, among) => {
    const far = (point) => Math.hypot(point.x - x, point.y - y)
    return among.reduce((best, point) => (far(point) < far(best) ? point : best))
  }
  const at = (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse())
    const point = nearest(place.x, place.y, points)
    Math.hypot(point.x - place.x, point.y - place.y) < NEAR ? show(point) : hide()
  }
  svg.addEventListener("pointermove", at)
  svg.addEventListener("pointerdown", at)
  svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide())
  svg.addEventListener("blur", hide)
  svg.addEventListener("keydown", (event) => {
    const now = shown ?? { ...points[0], i: -1 }
    const own = points.filter((point) => point.s === now.s)
    const other = (step) => {
      const n = series.length
      const next = points.filter((point) => point.s === (now.s + step + n) % n)
      return nearest(now.x, next[0].y, next)
    }
    const moves = {
      ArrowRight: () => own[Math.min(now.i + 1, own.length - 1)],
      ArrowLeft: () => own[Math.max(now.i - 1, 0)],
      ArrowDown: () => other(1),
      ArrowUp: () => other(-1),
      Home: () => own[0],
      End: () => own.at(-1),
    }
    if (event.key === "Escape") hide()
    if (!(event.key in moves)) return
    event.preventDefault()
    show(moves[event.key]())
  })
}

// Tables: a click on a heading sorts by its column, another one the other way round; empty cells stay below.
for (const button of document.querySelectorAll("th button")) {
  const heading = button.parentElement
  const column = heading.cellIndex
  const numbers = heading.classList.contains("n")
  const key = (row) => {
    const text = row.cells[column].textContent.replace(/[\u2007\u2008,]/g, "").trim()
    const value = numbers ? parseFloat(text) : text
    return text === "" || Number.isNaN(value) ? null : value
  }
  button.addEventListener("click", () => {
    const body = heading.closest("table").tBodies[0]
    const down = heading.ariaSort === "ascending"
    const order = (a, b) => (numbers ? a - b : a.localeCompare(b, "en", { numeric: true }))
    const rows = [...body.rows].map((row) => [key(row), row])
    rows.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : (down ? -1 : 1) * order(a, b)))
    for (const each of heading.parentElement.cells) if (each.ariaSort) each.ariaSort = "none"
    heading.ariaSort = down ? "descending" : "ascending"
    body.append(...rows.map(([, row]) => row))
  })
}

for (const hint of document.querySelectorAll(".hint")) hint.hidden = false
