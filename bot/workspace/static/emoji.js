// The shortcodes people and bots use most. An unknown one stays as it was typed, as in Slack.
const TABLE = `
+1 👍 thumbsup 👍 -1 👎 thumbsdown 👎 ok_hand 👌 clap 👏 raised_hands 🙌 pray 🙏 wave 👋 muscle 💪
point_right 👉 point_left 👈 point_up ☝️ point_down 👇 raised_hand ✋ v ✌️ crossed_fingers 🤞 handshake 🤝
eyes 👀 brain 🧠 smile 😄 grinning 😀 slightly_smiling_face 🙂 wink 😉 blush 😊 joy 😂 laughing 😆
thinking_face 🤔 neutral_face 😐 sob 😭 cry 😢 disappointed 😞 worried 😟 scream 😱 sunglasses 😎
partying_face 🥳 exploding_head 🤯 sleeping 😴 zzz 💤 robot_face 🤖 ghost 👻 skull 💀 bug 🐛 monkey_face 🐵
snail 🐌 turtle 🐢 rabbit2 🐇 unicorn_face 🦄 whale 🐳 seedling 🌱 herb 🌿 evergreen_tree 🌲
deciduous_tree 🌳 four_leaf_clover 🍀 fallen_leaf 🍂 sunny ☀️ cloud ☁️ partly_sunny ⛅ snowflake ❄️
zap ⚡ fire 🔥 boom 💥 star ⭐ star2 🌟 sparkles ✨ dizzy 💫 rainbow 🌈 ocean 🌊 earth_americas 🌎
earth_africa 🌍 globe_with_meridians 🌐 rocket 🚀 airplane ✈️ car 🚗 ship 🚢 bike 🚲 construction 🚧 tada 🎉
confetti_ball 🎊 trophy 🏆 medal 🏅 first_place_medal 🥇 second_place_medal 🥈 third_place_medal 🥉
crown 👑 gem 💎 gift 🎁 balloon 🎈 dart 🎯 game_die 🎲 art 🎨 musical_note 🎵 movie_camera 🎥
checkered_flag 🏁 triangular_flag_on_post 🚩 white_check_mark ✅ heavy_check_mark ✔️
ballot_box_with_check ☑️ x ❌ negative_squared_cross_mark ❎ warning ⚠️ octagonal_sign 🛑 stop_sign 🛑
no_entry ⛔ no_entry_sign 🚫 exclamation ❗ question ❓ grey_exclamation ❕ grey_question ❔ bangbang ‼️
rotating_light 🚨 information_source ℹ️ bulb 💡 bell 🔔 no_bell 🔕 mega 📣 loudspeaker 📢 speech_balloon 💬
thought_balloon 💭 heavy_plus_sign ➕ heavy_minus_sign ➖ heavy_multiplication_x ✖️ infinity ♾️ 100 💯
new 🆕 up 🆙 ok 🆗 cool 🆒 free 🆓 sos 🆘 hourglass ⌛ hourglass_flowing_sand ⏳ alarm_clock ⏰ stopwatch ⏱️
timer_clock ⏲️ clock1 🕐 clock3 🕒 clock9 🕘 watch ⌚ calendar 📅 date 📅 spiral_calendar_pad 🗓️ repeat 🔁
arrows_counterclockwise 🔄 arrows_clockwise 🔃 leftwards_arrow_with_hook ↩️ arrow_right ➡️
arrow_left ⬅️ arrow_up ⬆️ arrow_down ⬇️ arrow_upper_right ↗️ arrow_lower_right ↘️ arrow_forward ▶️
fast_forward ⏩ rewind ⏪ double_vertical_bar ⏸️ pause_button ⏸️ black_square_for_stop ⏹️
stop_button ⏹️ black_circle_for_record ⏺️ next_track_button ⏭️ chart_with_upwards_trend 📈
chart_with_downwards_trend 📉 bar_chart 📊 clipboard 📋 memo 📝 pencil ✏️ pencil2 ✏️ page_facing_up 📄
page_with_curl 📃 scroll 📜 books 📚 book 📖 bookmark 🔖 label 🏷️ pushpin 📌 round_pushpin 📍 paperclip 📎
link 🔗 scissors ✂️ package 📦 inbox_tray 📥 outbox_tray 📤 envelope ✉️ email 📧 file_folder 📁
open_file_folder 📂 card_index_dividers 🗂️ wastebasket 🗑️ mag 🔍 mag_right 🔎 key 🔑 lock 🔒 unlock 🔓
closed_lock_with_key 🔐 shield 🛡️ hammer 🔨 wrench 🔧 hammer_and_wrench 🛠️ gear ⚙️ nut_and_bolt 🔩
toolbox 🧰 abacus 🧮 microscope 🔬 telescope 🔭 test_tube 🧪 petri_dish 🧫 dna 🧬 thermometer 🌡️
level_slider 🎚️ control_knobs 🎛️ computer 💻 desktop_computer 🖥️ keyboard ⌨️ floppy_disk 💾 cd 💿
electric_plug 🔌 battery 🔋 satellite 🛰️ iphone 📱 moneybag 💰 money_with_wings 💸 credit_card 💳
scales ⚖️ classical_building 🏛️ factory 🏭 house 🏠 bookmark_tabs 📑 newspaper 📰 coffee ☕ pizza 🍕
cake 🍰 beers 🍻 apple 🍎 hot_pepper 🌶️ hugging_face 🤗 llama 🦙 heart ❤️ blue_heart 💙 green_heart 💚
broken_heart 💔 red_circle 🔴 large_orange_circle 🟠 large_yellow_circle 🟡 large_green_circle 🟢
large_blue_circle 🔵 large_purple_circle 🟣 white_circle ⚪ black_circle ⚫ large_green_square 🟩
large_red_square 🟥 large_yellow_square 🟨 white_large_square ⬜ black_large_square ⬛
small_blue_diamond 🔹 small_orange_diamond 🔸 large_blue_diamond 🔷 small_red_triangle 🔺
small_red_triangle_down 🔻 one 1️⃣ two 2️⃣ three 3️⃣ four 4️⃣ five 5️⃣ six 6️⃣ seven 7️⃣ eight 8️⃣
nine 9️⃣ zero 0️⃣ keycap_ten 🔟 hash #️⃣ busts_in_silhouette 👥 bust_in_silhouette 👤 technologist 🧑‍💻
scientist 🧑‍🔬 detective 🕵️ construction_worker 👷 runner 🏃 walking 🚶 shrug 🤷 facepalm 🤦`;

const words = TABLE.trim().split(/\s+/);
export const EMOJI = new Map();
for (let i = 0; i < words.length; i += 2) EMOJI.set(words[i], words[i + 1]);
