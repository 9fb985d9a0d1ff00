(() => {
  'use strict';
  const make = (tag, parent, text, name) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (name) made.className = name;
    return parent.appendChild(made);
  };

  // Steps through the events of one finding: what its table holds is shown one event at a time, and in the picture.
  const step = card => {
    const rows = [...card.querySelectorAll('.events tbody tr')];
    const picture = card.querySelector('svg.st');
    if (!rows.length || !picture) return;
    const panel = document.createElement('div');
    panel.className = 'steps';
    panel.tabIndex = 0;
    panel.setAttribute('role', 'group');
    panel.setAttribute('aria-label', 'Step through the events of ' + card.dataset.id);
    const bar = make('p', panel);
    const shown = make('div', panel);
    shown.setAttribute('aria-live', 'polite');
    let now = -1;
    const go = to => {
      now = Math.max(0, Math.min(rows.length - 1, to));
      const row = rows[now];
      const cells = row.cells;
      shown.replaceChildren();
      make('p', shown, `Event ${now + 1} of ${rows.length}, ${cells[0].textContent}, ${cells[1].textContent}`, 'note');
      make('p', shown, cells[2].textContent, 'lead');
      if (cells[3].textContent) make('p', shown, cells[3].textContent);
      const state = new Map();
      rows.slice(0, now + 1).forEach(other => other.querySelectorAll('span').forEach(
        change => state.set(change.firstChild.textContent, [change.lastChild.textContent.trim(), other === row])));
      const list = make('dl', shown);
      for (const [name, [value, fresh]] of state) {
        const pair = make('div', list);
        make('dt', pair, name + ': ');
        make('dd', pair, (fresh ? '● ' : '') + value, fresh ? 'fresh' : '');
      }
      const code = row.dataset.code && card.querySelector(`.code li:nth-child(${+row.dataset.code + 1})`);
      if (code) code.childNodes.forEach(part => shown.append(part.cloneNode(true)));
      rows.forEach(other => other.classList.toggle('on', other === row));
      const at = +row.dataset.row;
      const stops = [...picture.querySelectorAll('.stop')];
      const here = stops.filter(stop => Math.min(...stop.dataset.at.split(' ')) <= at).pop();
      stops.forEach(stop => stop.classList.toggle('on', stop === here));
      const first = here && here.dataset.at.split(' ')[0];
      picture.querySelectorAll('.arrow').forEach(
        arrow => arrow.classList.toggle('on', arrow.dataset.way.split(' ').includes(first)));
    };
    const button = (label, words, to) => {
      const made = make('button', bar, label);
      made.type = 'button';
      made.setAttribute('aria-label', words);
      made.addEventListener('click', () => go(to()));
    };
    button('|◀', 'First event', () => 0);
    button('◀', 'Event before', () => now - 1);
    button('▶', 'Next event', () => now + 1);
    button('▶|', 'Last event', () => rows.length - 1);
    make('span', bar, ' or the arrow keys, or click in the picture', 'note');
    const keys = {ArrowRight: () => now + 1, ArrowDown: () => now + 1, ArrowLeft: () => now - 1, ArrowUp: () => now - 1,
      Home: () => 0, End: () => rows.length - 1};
    panel.addEventListener('keydown', event => {
      if (!keys[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      go(keys[event.key]());
    });
    picture.classList.add('live');
    picture.addEventListener('click', event => {
      const stop = event.target.closest('.stop');
      if (!stop) return;
      const at = stop.dataset.at.split(' ');
      go(rows.findIndex(row => at.includes(row.dataset.row)));
      panel.focus({preventScroll: true});
    });
    card.querySelector('.pair').before(panel);
  };
  document.querySelectorAll('article.card').forEach(step);

  // Filters the findings by words and by invariant.
  const form = document.getElementById('filter');
  if (!form) return;
  form.hidden = false;
  const [words, chosen] = [form.querySelector('input'), form.querySelector('select')];
  const count = form.querySelector('output');
  const all = [...document.querySelectorAll('[data-invariant]')];
  const texts = new Map(all.map(found => [found, found.textContent.toLowerCase()]));
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const found of all) {
      const fits = (!chosen.value || found.dataset.invariant === chosen.value)
        && wanted.every(word => texts.get(found).includes(word));
      found.hidden = !fits;
      left += fits;
    }
    count.textContent = `${left} of ${all.length} findings`;
  };
  form.addEventListener('input', filter);
  addEventListener('hashchange', () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target || !target.closest('[hidden]')) return;
    words.value = chosen.value = '';
    filter();
    target.scrollIntoView();
  });
  filter();
})();
