// Builds elements: make("button", { class: "main", onclick }, "text", child).

const SVG = "http://www.w3.org/2000/svg";

export function make(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function makeSvg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (["value", "checked", "srcObject", "muted"].includes(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A button that opens a file dialog; `onfile` gets the file.
export function makeFileButton(text, accept, onfile, properties = {}) {
  const input = make("input", {
    type: "file", accept, class: "hidden", tabindex: "-1", "aria-hidden": "true",
    onchange: () => { if (input.files[0]) onfile(input.files[0]); input.value = ""; },
  });
  return [make("button", { type: "button", onclick: () => input.click(), ...properties }, text), input];
}

// Lets files be dropped on an element.
export function acceptDrops(element, onfile) {
  let depth = 0;
  const stop = (event) => { event.preventDefault(); event.stopPropagation(); };
  element.addEventListener("dragenter", (event) => { stop(event); depth += 1; element.classList.add("over"); });
  element.addEventListener("dragover", stop);
  element.addEventListener("dragleave", (event) => {
    stop(event);
    depth -= 1;
    if (depth <= 0) element.classList.remove("over");
  });
  element.addEventListener("drop", (event) => {
    stop(event);
    depth = 0;
    element.classList.remove("over");
    if (event.dataTransfer.files[0]) onfile(event.dataTransfer.files[0]);
  });
}
