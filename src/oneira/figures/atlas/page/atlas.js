/* The page: the address after # says what is shown (LAYER, LAYER:CHANNEL, ?QUERY, LAYER:CHANNEL?QUERY), and everything
   is drawn from it, so that links and the way back work. Names are only ever set as text, never as markup. */
"use strict";
(() => {
  const atlas = window.ATLAS;
  const { classes, place, link, toClass, find } = finding;
  const MOST = 240; // tiles of what was found; below that nobody looks
  const PICTURE = 224; // pixels: the side of a picture, against which receptive fields are drawn
  const byId = (id) => document.getElementById(id);
  const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
  const short = (value) => (value === 0 ? "0" : Math.abs(value) < 1000 ? value.toPrecision(3) : Math.round(value).toLocaleString("en"));
  const percent = (share) => {
    if (share > 0 && share < 0.001) return "<0.1 %";
    return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
  };
  const source = (path) => path.split("/").map(encodeURIComponent).join("/");
  const addressed = (layer, channel) => `${layer.name}:${channel.index}`;

  /** An element with attributes and children; strings become text. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("--")) element.style.setProperty(name, value);
      else if (value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  /* Drawing. */

  function picture(layer, channel, side) {
    if (!channel.picture) return make("div", { class: "dead" }, channel.dead ? "dead" : "no picture");
    const size = { width: side, height: side, loading: "lazy", decoding: "async" };
    return make("img", { src: source(channel.picture), alt: `What ${addressed(layer, channel)} responds to`, ...size });
  }

  function tile({ layer, channel, left, right, title, query }) {
    const under = make("span", { class: "under" }, make("b", {}, left), make("span", {}, right ?? ""));
    const dead = channel.dead ? ", dead" : "";
    const label = `${addressed(layer, channel)}${dead}${right ? `, ${title ?? right}` : ""}`;
    const attributes = { class: "tile", href: link(layer, channel, query), "aria-label": label, title };
    const link_ = make("a", attributes, picture(layer, channel, 128), under);
    link_.dataset.address = addressed(layer, channel);
    return make("li", {}, link_);
  }

  function drawLayers(current) {
    const items = atlas.layers.map((layer) => {
      const facts = layer.stride === null ? ["whole picture"] : [`stride ${layer.stride}`, sees(layer)];
      if (layer.dead) facts.push(`${layer.dead} dead`);
      const share = Math.max(0.09, Math.min(1, (layer.field ?? PICTURE) / PICTURE));
      return make("li", {}, make("a", { href: link(layer), "aria-current": layer === current ? "true" : undefined },
        make("span", { class: "field", "aria-hidden": "true", "--seen": `${100 * share}%` }, make("i")),
        make("span", { class: "name" }, layer.name),
        make("span", { class: "count", title: counted(layer.channels.length, "channel") }, String(layer.channels.length)),
        make("span", { class: "hint" }, facts.join(" \u00b7 "))));
    });
    byId("layers").replaceChildren(...items);
    byId("layers").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  const sees = (layer) => (layer.field === null ? "sees the whole picture" : `sees ${layer.field} px`);

  function drawLayer(layer) {
    byId("title").replaceChildren(make("span", { class: "address" }, layer.name));
    const facts = [counted(layer.channels.length, "channel")];
    if (layer.stride !== null) facts.push(`a position every ${counted(layer.stride, "pixel")}`);
    facts.push(`each ${sees(layer)}`);
    if (layer.dead) facts.push(`${layer.dead} dead`);
    byId("facts").textContent = facts.join(", ");
    byId("chips").replaceChildren();
    byId("nothing").hidden = true;
    return layer.channels.map((channel) => {
      const fires = channel.fires === undefined ? undefined : percent(channel.fires);
      const title = fires && `fires at ${fires} of positions`;
      return { layer, channel, left: String(channel.index), right: channel.dead ? undefined : fires, title, query: "" };
    });
  }

  function drawFound(query) {
    const { entries, chips, title, of, several, empty } = find(query);
    const shown = entries.slice(0, MOST);
    byId("title").replaceChildren(title, make("b", {}, of));
    const cut = shown.length < entries.length ? `the first ${shown.length} of ` : "";
    byId("facts").textContent = entries.length ? `${cut}${counted(entries.length, "channel")}` : "";
    byId("chips").replaceChildren(...chips.map((chip) => {
      const current = chip.current ? "true" : undefined;
      return make("a", { href: chip.href, title: chip.title, "aria-current": current }, chip.text);
    }));
    byId("nothing").hidden = entries.length > 0;
    byId("nothing").textContent = empty
      ? `No class, layer or channel here is called \u201c${query.trim()}\u201d.`
      : "None of the channels here has it among the classes that it pushes most.";
    return shown.map(({ layer, channel, number, amount }) => {
      const right = amount === undefined ? "" : `${several ? `${classes[number].name} ` : ""}${short(amount)}`;
      const told = amount === undefined ? undefined : `raises ${classes[number].name} by ${short(amount)}`;
      return { layer, channel, left: addressed(layer, channel), right, title: told, query };
    });
  }

  function drawChannel({ layer, channel, query }) {
    byId("channel-title").replaceChildren(make("span", { class: "address" }, addressed(layer, channel)));
    byId("close").href = query ? link(null, null, query) : link(layer);
    byId("picture").replaceChildren(picture(layer, channel, 288));
    if (channel.dead) byId("picture").firstChild.textContent = "Dead: it never fires, so there is nothing to show.";
    else if (!channel.picture) byId("picture").firstChild.textContent = "It fires, but no picture drawn from noise could wake it.";
    drawMeasured(layer, channel);
    const pushes = channel.pushes ?? [];
    const largest = Math.max(...pushes.map(([, amount]) => amount));
    byId("pushes-section").hidden = !pushes.length;
    byId("pushes").replaceChildren(...pushes.map(([number, amount]) => {
      const part = largest > 0 ? Math.max(0, amount / largest) : 0;
      return make("li", {}, make("a", { href: toClass(number), title: `${classes[number].line}: find the channels that push it` },
        make("span", { class: "name" }, classes[number].name),
        make("span", { class: "trace", "aria-hidden": "true" }, make("i", { "--part": `${100 * part}%` })),
        make("span", { class: "amount" }, short(amount))));
    }));
    const neighbours = channel.neighbours ?? [];
    byId("neighbours-section").hidden = !neighbours.length;
    byId("neighbours").replaceChildren(...neighbours.map(([index, likeness]) => {
      const other = { layer, channel: layer.byIndex.get(index) };
      return tile({ ...other, left: String(index), right: likeness.toFixed(2), title: `likeness ${likeness.toFixed(2)}`, query });
    }));
    byId("command-section").hidden = channel.dead;
    byId("command").textContent = `${layer.command} ${channel.index}`;
    settleCopy();
  }

  function drawMeasured(layer, channel) {
    const [path, count] = channel.patches ?? [null, 0];
    byId("patches-section").hidden = !count;
    byId("patches").setAttribute("aria-label", `The ${count} patches at which ${addressed(layer, channel)} is highest`);
    byId("patches").replaceChildren(...Array.from({ length: count }, (_, at) => {
      return make("span", {}, make("img", { src: source(path), alt: "", "--place": at }));
    }));
    const known = [
      ["fires at", channel.fires, (share) => `${percent(share)} of positions`],
      ["and in", channel.firesIn, (share) => `${percent(share)} of pictures`],
      ["highest", channel.highest, short],
    ].filter(([, value]) => value !== undefined);
    byId("statistics").replaceChildren(...known.map(([term, value, told]) => {
      return make("div", {}, make("dt", {}, term), make("dd", {}, told(value)));
    }));
    document.querySelector(".seeing").classList.toggle("alone", !count && !known.length);
    document.querySelector(".measured").hidden = !count && !known.length;
  }

  /* What is shown now, and how one moves in it. */

  const query = byId("query");
  const covered = matchMedia("(max-width: 46rem)"); // as in the style sheet: a channel covers all
  const tiles = () => [...byId("grid").querySelectorAll(".tile")];
  const tileOf = ({ layer, channel }) => tiles().find((found) => found.dataset.address === addressed(layer, channel));
  let now = null;
  let shown = null; // its address
  let home = atlas.layers[atlas.layers.length - 1]; // the deepest layer has the most to show

  /** Go to an address, at once; `instead` of this one, so that the way back leads past it. */
  function go(address, instead = false) {
    if (instead) location.replace(address);
    else location.hash = address;
    show();
  }

  function show() {
    if (shown === location.hash) return;
    shown = location.hash;
    const before = now;
    now = place(location.hash, home);
    home = now.layer;
    const anew = !before || before.query !== now.query || (!now.query && before.layer !== now.layer);
    if (anew) {
      drawLayers(now.query ? null : now.layer);
      byId("grid").replaceChildren(...(now.query ? drawFound(now.query) : drawLayer(now.layer)).map(tile));
      scrollTo(0, 0);
    }
    if (document.activeElement !== query) query.value = now.query;
    byId("channel").hidden = !now.channel;
    document.body.classList.toggle("open", Boolean(now.channel));
    if (now.channel) drawChannel(now);
    const subject = now.channel ? addressed(now.layer, now.channel) : now.query || now.layer.name;
    document.title = `${subject} \u2013 atlas of ${atlas.model}`;
    settle(before);
  }

  /** Mark the channel that is shown, link its neighbours in the list, and move the focus where the eye is. */
  function settle(before) {
    const all = tiles();
    const current = now.channel && tileOf(now);
    for (const one of all) {
      if (one === current) one.setAttribute("aria-current", "true");
      else one.removeAttribute("aria-current");
      one.tabIndex = -1;
    }
    const entry = current ?? (before?.channel && tileOf(before)) ?? all[0];
    if (entry) entry.tabIndex = 0; // one stop for the Tab key; arrows move inside
    current?.scrollIntoView({ block: "nearest" });
    const at = all.indexOf(current);
    for (const [id, other] of [["previous", all[at - 1]], ["next", at < 0 ? undefined : all[at + 1]]]) {
      if (other) byId(id).href = other.getAttribute("href");
      else byId(id).removeAttribute("href");
    }
    shut();
    if (document.activeElement === query || (!before && !now.channel)) return;
    if (now.channel) {
      byId("channel").scrollTo(0, 0);
      byId("channel-title").focus({ preventScroll: true });
    } else if (before?.channel && entry) entry.focus();
    else byId("title").focus({ preventScroll: true });
  }

  function shut() {
    const away = covered.matches && Boolean(now.channel);
    byId("main").inert = away;
    byId("side").inert = away;
  }

  function move(key) {
    const columns = getComputedStyle(byId("grid")).gridTemplateColumns.split(" ").length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
    const all = tiles();
    const from = now.channel ? tileOf(now) : document.activeElement.closest(".tile");
    const upright = key === "ArrowUp" || key === "ArrowDown";
    if (upright && (!from || !byId("grid").contains(from) || (now.channel && covered.matches))) return false;
    const to = from ? all[all.indexOf(from) + step] : all[0];
    if (to && now.channel) go(to.getAttribute("href"), true); // the way back leads out, not through each
    else if (to) {
      for (const one of all) one.tabIndex = one === to ? 0 : -1;
      to.focus();
    }
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target === query;
    if (event.key === "/" && !typing) {
      if (now.channel) go(byId("close").getAttribute("href")); // it may cover the field, and what is covered takes no focus
      query.focus();
      query.select();
    } else if (event.key === "Escape" && now.channel) go(byId("close").getAttribute("href"));
    else if (event.key === "Escape" && (typing || now.query)) {
      query.blur();
      if (now.query) go(link(home));
    } else if (typing && (event.key === "Enter" || event.key === "ArrowDown")) {
      const [first, ...others] = tiles();
      query.blur();
      if (event.key === "Enter" && first && !others.length) go(first.getAttribute("href"));
      else (first ?? byId("title")).focus();
    } else if (typing || !event.key.startsWith("Arrow") || !move(event.key)) return;
    event.preventDefault();
  });

  query.addEventListener("input", () => {
    const to = query.value.trim() ? link(null, null, query.value) : link(home);
    go(to, Boolean(now.query)); // one way back for the whole word, not one for each letter
  });
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("title").focus();
  });
  covered.addEventListener("change", shut);
  addEventListener("hashchange", show);

  /* Copying. */

  let waiting = 0;

  function settleCopy() {
    clearTimeout(waiting);
    byId("copy").textContent = "Copy";
    byId("copy").classList.remove("done");
    byId("told").textContent = "";
  }

  /** Pages from the disk may be refused the clipboard; the old way asks for no permission. */
  function copyByHand(text) {
    const area = make("textarea", { readonly: "", class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }

  byId("copy").addEventListener("click", async () => {
    const text = byId("command").textContent;
    const done = await (navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard")))
      .then(() => true, () => copyByHand(text));
    settleCopy();
    byId("copy").focus();
    byId("copy").textContent = done ? "Copied" : "Not copied";
    byId("copy").classList.toggle("done", done);
    byId("told").textContent = done ? "The command is copied." : "This browser lets nothing be copied; select the command instead.";
    waiting = setTimeout(settleCopy, 2500);
  });

  byId("model").textContent = atlas.model;
  byId("seen").textContent = atlas.seen && `Measured over ${atlas.seen}`;
  byId("seen").hidden = !atlas.seen;
  const example = `${atlas.layers[atlas.layers.length - 1].name}:17`;
  query.placeholder = classes.length ? `${classes[0].name} or ${example}` : example;
  show();
})();
