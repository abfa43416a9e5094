/* Finding: what addresses and words mean in window.ATLAS. Nothing here touches the page. */
"use strict";
const finding = (() => {
  const atlas = window.ATLAS;
  const layers = new Map(atlas.layers.map((layer) => [layer.name, layer]));
  const pushing = new Map(); // class -> the channels that push it, strongest first
  for (const layer of atlas.layers) {
    layer.byIndex = new Map(layer.channels.map((channel) => [channel.index, channel]));
    for (const channel of layer.channels) channel.dead = !channel.picture && !channel.fires;
    layer.dead = layer.channels.filter((channel) => channel.dead).length;
    for (const channel of layer.channels) {
      for (const [number, amount] of channel.pushes ?? []) {
        if (!pushing.has(number)) pushing.set(number, []);
        pushing.get(number).push({ layer, channel, number, amount });
      }
    }
  }
  for (const list of pushing.values()) list.sort((one, other) => other.amount - one.amount);

  const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();
  const classes = atlas.classes.map((line, number) => {
    return { number, line, name: line.split(", ")[0], synonyms: [folded(line), ...line.split(", ").map(folded)] };
  });

  const decoded = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };

  /** The address after # -> what it names; `home` is the layer where it names none. */
  function place(hash, home) {
    const [address, ...rest] = hash.slice(1).split("?");
    const query = decoded(rest.join("?"));
    const text = decoded(address);
    const [, name, index] = layers.has(text) ? [null, text] : (text.match(/^(.*):(\d+)$/s) ?? [null, text]);
    const layer = layers.get(name);
    return { layer: layer ?? home, channel: layer?.byIndex.get(Number(index ?? NaN)), query };
  }

  function link(layer, channel, query = "") {
    const address = layer ? encodeURIComponent(layer.name) + (channel ? `:${channel.index}` : "") : "";
    return `#${address}${query ? `?${encodeURIComponent(query)}` : ""}`;
  }

  /** The address of a class: its first name, unless that is another's too. */
  function toClass(number) {
    const { name, line } = classes[number];
    return link(null, null, classes.filter((other) => other.synonyms.includes(folded(name))).length > 1 ? line : name);
  }

  /** Classes that a query means: those that it names exactly, and all; it may begin a word, else stand in one (goldfish). */
  function classesOf(query) {
    const plain = (words) => ` ${words.replace(/[^\p{L}\p{N}]+/gu, " ").trim()}`;
    const holding = (part) => (part.trim() ? classes.filter(({ synonyms }) => plain(synonyms[0]).includes(part)) : []);
    const begun = holding(plain(query));
    const words = begun.length ? begun : holding(plain(query).trim());
    const exact = classes.filter(({ synonyms }) => synonyms.includes(query));
    return { exact, all: [...exact, ...words.filter((found) => !exact.includes(found))] };
  }

  /** Channels of an address such as relu4_2:17, pocket:relu4_2:17, relu4_2:1 (all that begin so), or 17 (of each layer). */
  function channelsOf(query) {
    const model = `${folded(atlas.model)}:`;
    const text = query.startsWith(model) ? query.slice(model.length) : query;
    const [, name, digits] = text.match(/^(.*?):?(\d*)$/s);
    const exactly = atlas.layers.filter((layer) => folded(layer.name) === text);
    const meant = exactly.length ? exactly : atlas.layers.filter((layer) => name === "" || folded(layer.name) === name);
    const wanted = exactly.length ? "" : digits;
    if (name === "" && !digits) return [];
    const found = meant.flatMap((layer) => layer.channels.map((channel) => ({ layer, channel })));
    const exact = found.filter(({ channel }) => String(channel.index) === wanted);
    const rest = found.filter(({ channel }) => String(channel.index).startsWith(wanted) && String(channel.index) !== wanted);
    return name === "" ? exact : [...exact, ...rest];
  }

  function find(text) {
    const query = folded(text);
    const named = channelsOf(query);
    if (named.length) return { entries: named, chips: [], title: "Channels at ", of: text.trim() };
    const { exact, all } = classesOf(query);
    const used = exact.length ? exact : all;
    const best = new Map();
    for (const { number } of used) {
      for (const entry of pushing.get(number) ?? []) {
        if (!(best.get(entry.channel)?.amount >= entry.amount)) best.set(entry.channel, entry);
      }
    }
    const entries = [...best.values()].sort((one, other) => other.amount - one.amount);
    const near = atlas.layers.filter((layer) => folded(layer.name).startsWith(query));
    const chips = [
      ...near.map((layer) => ({ text: layer.name, href: link(layer) })),
      ...(all.length > 1 ? all : []).map(({ number, name, line }) => {
        return { text: name, title: line, href: toClass(number), current: used.length === 1 && used[0].number === number };
      }),
    ].slice(0, 24);
    const of = used.length === 1 ? used[0].name : text.trim();
    return { entries, chips, title: "Channels that push ", of, several: used.length > 1, empty: !used.length && !near.length };
  }

  return { classes, place, link, toClass, find };
})();
